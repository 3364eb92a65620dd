//! The environment that all templates share: which filters, tests and functions there are, and how values print.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{
    AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value, filters as builtin,
    functions, tests,
};

use super::run::Run;
use super::value::printed;
use super::{filters, lexis, limits, operators};

/// What the edits of a template call. Nobody can write them: they are not in the tables below.
pub(super) const ESCAPE: &str = "gitboot_escape";
pub(super) const JOIN: &str = "gitboot_join";
pub(super) const ADD: &str = "gitboot_add";
pub(super) const MULTIPLY: &str = "gitboot_multiply";
pub(super) const MEASURE: &str = "gitboot_measure";
pub(super) const REACH_ITEM: &str = "gitboot_item";
pub(super) const REACH_SLICE: &str = "gitboot_slice";
pub(super) const CHARGE: &str = "gitboot_charged";

/// Filters that escape by themselves, or say that nothing is to be escaped.
const ESCAPING: [&str; 5] = ["safe", "sh", "yaml", "tojson", "urlencode"];

/// Filters of our own that take the place of minijinja's, or that it has not.
const OWN: [&str; 9] = [
    "safe",
    "sh",
    "yaml",
    "tojson",
    "urlencode",
    "string",
    "replace",
    "join",
    "sum",
];

/// Whether the output of a filter is not escaped again.
pub(super) fn escapes(filter: &str) -> bool {
    ESCAPING.contains(&filter)
}

pub(super) fn is_filter(name: &str) -> bool {
    OWN.contains(&name) || builtin_filters().contains_key(name)
}

pub(super) fn filter_names() -> impl Iterator<Item = &'static str> {
    OWN.into_iter().chain(builtin_filters().keys().copied())
}

pub(super) fn is_test(name: &str) -> bool {
    builtin_tests().contains_key(name)
}

pub(super) fn test_names() -> impl Iterator<Item = &'static str> {
    builtin_tests().keys().copied()
}

/// A new environment without templates; it shares all tables.
pub(super) fn environment() -> Environment<'static> {
    static BASE: OnceLock<Environment<'static>> = OnceLock::new();
    BASE.get_or_init(build).clone()
}

fn build() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_syntax(lexis::syntax());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Any mode but `None` marks what blocks and macros capture as escaped: it was, when it was printed.
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("gitboot".into()));
    environment.set_formatter(print);
    environment.set_debug(false);
    environment.set_fuel(Some(limits::FUEL));
    environment.set_recursion_limit(limits::RECURSION);
    for (name, filter) in builtin_filters() {
        environment.add_filter(
            *name,
            move |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
                filters::charged(state, name, filter, arguments)
            },
        );
    }
    add_own(&mut environment);
    for (name, test) in builtin_tests() {
        environment.add_test(
            *name,
            move |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
                filters::tested(state, test, arguments)
            },
        );
    }
    environment.add_test(CHARGE, filters::is_charged);
    environment.add_function("range", filters::range);
    let dict = Value::from_function(functions::dict);
    environment.add_function(
        "dict",
        move |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
            filters::charged(state, "dict", &dict, arguments)
        },
    );
    environment.add_function("namespace", functions::namespace);
    environment
}

fn add_own(environment: &mut Environment<'static>) {
    environment.add_filter("safe", filters::safe);
    environment.add_filter("sh", filters::sh);
    environment.add_filter("yaml", filters::yaml);
    environment.add_filter("tojson", filters::tojson);
    environment.add_filter("urlencode", filters::urlencode);
    environment.add_filter("string", filters::string);
    environment.add_filter("replace", filters::replace);
    environment.add_filter("join", filters::join);
    environment.add_filter("sum", filters::sum);
    environment.add_filter(ESCAPE, filters::escape);
    environment.add_filter(JOIN, operators::join);
    environment.add_filter(ADD, operators::add);
    environment.add_filter(MULTIPLY, operators::multiply);
    environment.add_filter(MEASURE, filters::measure);
    environment.add_filter(REACH_ITEM, filters::reach_item);
    environment.add_filter(REACH_SLICE, filters::reach_slice);
}

/// Prints a value: booleans in lower case, numbers as Rust does, nothing else that is no text. An `if` expression
/// without `else` prints nothing; every other undefined value has been refused before it comes here.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Ok(());
    }
    let text = printed(value)?;
    Run::of(state)?.charge(text.len() as u64)?;
    out.write_str(&text).map_err(Error::from)
}

/// Minijinja's filters without those for web pages (`escape`), for people (`pprint`) and with unbounded widths
/// (`format`).
fn builtin_filters() -> &'static BTreeMap<&'static str, Value> {
    static FILTERS: OnceLock<BTreeMap<&'static str, Value>> = OnceLock::new();
    FILTERS.get_or_init(|| {
        BTreeMap::from([
            ("abs", Value::from_function(builtin::abs)),
            ("attr", Value::from_function(builtin::attr)),
            ("batch", Value::from_function(builtin::batch)),
            ("bool", Value::from_function(builtin::bool)),
            ("capitalize", Value::from_function(builtin::capitalize)),
            ("chain", Value::from_function(builtin::chain)),
            ("count", Value::from_function(builtin::length)),
            ("d", Value::from_function(builtin::default)),
            ("default", Value::from_function(builtin::default)),
            ("dictsort", Value::from_function(builtin::dictsort)),
            ("first", Value::from_function(builtin::first)),
            ("float", Value::from_function(builtin::float)),
            ("groupby", Value::from_function(builtin::groupby)),
            ("indent", Value::from_function(builtin::indent)),
            ("int", Value::from_function(builtin::int)),
            ("items", Value::from_function(builtin::items)),
            ("last", Value::from_function(builtin::last)),
            ("length", Value::from_function(builtin::length)),
            ("lines", Value::from_function(builtin::lines)),
            ("list", Value::from_function(builtin::list)),
            ("lower", Value::from_function(builtin::lower)),
            ("map", Value::from_function(builtin::map)),
            ("max", Value::from_function(builtin::max)),
            ("min", Value::from_function(builtin::min)),
            ("reject", Value::from_function(builtin::reject)),
            ("rejectattr", Value::from_function(builtin::rejectattr)),
            ("reverse", Value::from_function(builtin::reverse)),
            ("round", Value::from_function(builtin::round)),
            ("select", Value::from_function(builtin::select)),
            ("selectattr", Value::from_function(builtin::selectattr)),
            ("slice", Value::from_function(builtin::slice)),
            ("sort", Value::from_function(builtin::sort)),
            ("split", Value::from_function(builtin::split)),
            ("title", Value::from_function(builtin::title)),
            ("trim", Value::from_function(builtin::trim)),
            ("unique", Value::from_function(builtin::unique)),
            ("upper", Value::from_function(builtin::upper)),
            ("zip", Value::from_function(builtin::zip)),
        ])
    })
}

/// Minijinja's tests without those about safety and about its own tables.
fn builtin_tests() -> &'static BTreeMap<&'static str, Value> {
    static TESTS: OnceLock<BTreeMap<&'static str, Value>> = OnceLock::new();
    TESTS.get_or_init(|| {
        BTreeMap::from([
            ("boolean", Value::from_function(tests::is_boolean)),
            ("defined", Value::from_function(tests::is_defined)),
            ("divisibleby", Value::from_function(filters::is_divisibleby)),
            ("endingwith", Value::from_function(tests::is_endingwith)),
            ("eq", Value::from_function(tests::is_eq)),
            ("equalto", Value::from_function(tests::is_eq)),
            ("even", Value::from_function(tests::is_even)),
            ("false", Value::from_function(tests::is_false)),
            ("float", Value::from_function(tests::is_float)),
            ("ge", Value::from_function(tests::is_ge)),
            ("greaterthan", Value::from_function(tests::is_gt)),
            ("gt", Value::from_function(tests::is_gt)),
            ("in", Value::from_function(tests::is_in)),
            ("int", Value::from_function(tests::is_integer)),
            ("integer", Value::from_function(tests::is_integer)),
            ("iterable", Value::from_function(tests::is_iterable)),
            ("le", Value::from_function(tests::is_le)),
            ("lessthan", Value::from_function(tests::is_lt)),
            ("lower", Value::from_function(tests::is_lower)),
            ("lt", Value::from_function(tests::is_lt)),
            ("mapping", Value::from_function(tests::is_mapping)),
            ("ne", Value::from_function(tests::is_ne)),
            ("none", Value::from_function(tests::is_none)),
            ("number", Value::from_function(tests::is_number)),
            ("odd", Value::from_function(tests::is_odd)),
            ("sameas", Value::from_function(tests::is_sameas)),
            ("sequence", Value::from_function(tests::is_sequence)),
            ("startingwith", Value::from_function(tests::is_startingwith)),
            ("string", Value::from_function(tests::is_string)),
            ("true", Value::from_function(tests::is_true)),
            ("undefined", Value::from_function(tests::is_undefined)),
            ("upper", Value::from_function(tests::is_upper)),
        ])
    })
}
