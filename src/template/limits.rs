//! Every limit of a template, with its unit and its reason.

/// Bytes of one template or included file. A script or a cloud-config has a few kilobytes; whoever reaches a megabyte
/// has put data into a template, and data belongs into an untemplated file.
pub const SOURCE_BYTES: usize = 1 << 20;

/// Files that one template may include or import, itself counted. They are all held in memory by every template.
pub const FILES: usize = 64;

/// How many includes may stand inside each other. Eight is more than anybody can follow, and each costs native stack.
pub const INCLUDE_DEPTH: usize = 8;

/// Bytes that one render may print: what the largest file of a tree may hold ([`crate::tree::Limits::file_bytes`]).
pub const OUTPUT_BYTES: usize = 4 << 20;

/// Instructions of the virtual machine that one render may execute. A boot script takes about a hundred, a list of a
/// thousand machines with ten fields each some fifty thousand; a quarter of a million takes about 20 ms.
pub const FUEL: u64 = 250_000;

/// Bytes that one render may produce or look through besides, in strings, lists and captured blocks. Fuel does not see
/// them: `{% set x = x ~ x %}` doubles a string for four instructions. It also bounds the memory of a render.
pub const WORK: u64 = 32 << 20;

/// What one item of a list or map costs of [`WORK`]: about its size in memory.
pub const ITEM_WORK: u64 = 32;

/// How deep lists and maps may nest. Manifests stop at 128 levels; comparing and freeing a value recurses natively.
pub const VALUE_DEPTH: usize = 160;

/// Items of one `range(…)`: the largest subnets that people number have a few thousand addresses.
pub const RANGE: i128 = 10_000;

/// Columns that `indent` adds and items that a `batch` or `slice` holds: beyond that it is a slip of the keyboard.
pub const WIDTH: usize = 1_000;

/// Tokens that may build on each other in one expression (a comma starts anew). The parser, the compiler and the walk
/// over the syntax tree recurse once for each, and some of the recursions of the parser have no limit of their own.
pub const CHAIN: usize = 400;

/// How many brackets may stand inside each other in one expression, and how many blocks in one file: the parser's own
/// limit of 150 needs more native stack than a thread has in a debug build.
pub const NESTING: usize = 24;

/// `elif` branches that may stand inside each other's `else`, for the same reason.
pub const ELIFS: usize = 100;

/// What macros, includes, loops and `with` blocks may nest while rendering, in minijinja's unit: an include counts 10, a
/// macro 4, a block 1. Each macro and include costs native stack; the threads that render have 2 MiB.
pub const RECURSION: usize = 160;

/// Problems that are reported of one template: who has made more corrects these first.
pub const PROBLEMS: usize = 100;

/// Bytes of a name up to which a similar one is looked for: comparing is quadratic.
pub const SIMILAR: usize = 64;

/// Names among which a similar one is looked for: more than any Profile has configs.
pub const SIMILAR_NAMES: usize = 1_000;
