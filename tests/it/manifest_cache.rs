//! The cache of parsed manifests: the same result, whatever changed.

use gitboot::manifest::{Budget, Cache, parse, parse_changed};
use gitboot::tree::Tree;
use proptest::prelude::*;

use crate::support::fixture::{GOOD, tree};

/// What a file may say: right, wrong in several ways, foreign, or nothing.
fn texts() -> Vec<String> {
    let good = GOOD.split_once('\n').unwrap().1.to_owned();
    vec![
        good.clone(),
        good.replace("good", "better"),
        good.replace("isDefault", "isDefalut"),
        "apiVersion: v1\nkind: ConfigMap\n".to_owned(),
        "a: [\n".to_owned(),
        "# nothing\n".to_owned(),
        "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\na: 1\na: 2\n".to_owned(),
    ]
}

fn tree_of(files: &[(u8, usize)]) -> Tree {
    let texts = texts();
    let part =
        |(name, text): &(u8, usize)| format!("//- {name}.yaml\n{}", texts[text % texts.len()]);
    tree(&files.iter().map(part).collect::<String>())
}

proptest! {
    #[test]
    fn a_cache_changes_nothing(
        trees in prop::collection::vec(prop::collection::vec((0..6_u8, 0..7_usize), 0..6), 1..5),
        nodes in prop::collection::vec(prop::sample::select(vec![4_usize, 100_000]), 5),
    ) {
        let mut cache = Cache::default();
        for (files, nodes) in trees.iter().zip(nodes) {
            let tree = tree_of(files);
            let budget = Budget { nodes, ..Budget::default() };
            let expected = format!("{:?}", parse(&tree, budget));
            prop_assert_eq!(format!("{:?}", parse_changed(&tree, budget, &mut cache)), expected);
        }
    }
}
