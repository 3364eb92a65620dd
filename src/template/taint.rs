//! Where labels flow: the least fixed point over all assignments, calls and imports.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Argument, Facts, Taint};
use super::limits;
use super::resolve::target;

/// What moves into what. A node is a variable or, with a bracket in it, an argument of all macros of one name; so the
/// graph grows with the calls plus the macros and not with their product.
#[derive(Default)]
struct Flow {
    reaches: BTreeMap<String, Vec<String>>,
    /// Nodes that hold a label and have not been followed yet.
    found: Vec<String>,
}

impl Flow {
    fn taint(&mut self, to: &str, taint: &Taint) {
        if taint.label {
            self.found.push(to.to_owned());
        }
        for from in &taint.names {
            self.edge(from.clone(), to);
        }
    }

    fn edge(&mut self, from: String, to: &str) {
        self.reaches.entry(from).or_default().push(to.to_owned());
    }
}

/// The variables that may hold what a label gave.
pub(super) fn tainted(facts: &Facts) -> BTreeSet<String> {
    let mut flow = Flow::default();
    for (to, taint) in &facts.flows {
        flow.taint(to, taint);
    }
    for (name, source) in &facts.renamed {
        flow.edge(source.clone(), name);
    }
    calls(facts, &mut flow);
    for (module, includes) in &facts.modules {
        for exports in includes
            .iter()
            .filter_map(|&include| facts.exports(target(facts, include)))
        {
            for from in exports {
                flow.edge(from.clone(), module);
            }
        }
    }
    let mut tainted = BTreeSet::new();
    while let Some(name) = flow.found.pop() {
        if tainted.insert(name.clone()) {
            flow.found
                .extend(flow.reaches.remove(&name).into_iter().flatten());
        }
    }
    tainted
}

/// Arguments move into parameters, by position, by name or, where neither is known, into all of them.
fn calls(facts: &Facts, flow: &mut Flow) {
    for call in &facts.calls {
        // The macro, and what it is an alias of.
        let mut callee = &call.callee;
        for _ in 0..=limits::INCLUDE_DEPTH {
            for (argument, taint) in &call.arguments {
                flow.taint(&node(callee, argument), taint);
            }
            match facts.renamed.get(callee) {
                Some(source) if source != callee => callee = source,
                _ => break,
            }
        }
    }
    for (name, definitions) in &facts.macros {
        for parameters in definitions {
            for (index, parameter) in parameters.iter().enumerate() {
                for argument in [
                    Argument::At(index),
                    Argument::Named(parameter.clone()),
                    Argument::Any,
                ] {
                    flow.edge(node(name, &argument), parameter);
                }
            }
        }
    }
}

/// An argument of the macros of one name.
fn node(callee: &str, argument: &Argument) -> String {
    match argument {
        Argument::At(index) => format!("{callee}({index})"),
        Argument::Named(name) => format!("{callee}({name}=)"),
        Argument::Any => format!("{callee}(*)"),
    }
}
