//! Tables for people, and lists for programs, a row at a time.

use std::io::{self, Write};

use serde_json::Value;

use crate::diagnostic::width;

/// The most columns that a cell makes room for in the rows of others: one long name must not push everything else off the
/// screen.
const MAX_ROOM: usize = 40;

/// Writes a table whose last column may be as wide as it likes. The rows are asked for twice, so that none is kept.
pub(super) fn write_table<const N: usize>(
    out: &mut impl Write,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]> + Clone,
) -> io::Result<()> {
    let mut room = head.map(width);
    for row in rows.clone() {
        for (room, cell) in room.iter_mut().zip(&row) {
            *room = (*room).max(width(cell).min(MAX_ROOM));
        }
    }
    for row in std::iter::once(head.map(str::to_owned)).chain(rows) {
        write_row(out, &row, &room)?;
    }
    Ok(())
}

fn write_row(out: &mut impl Write, cells: &[String], room: &[usize]) -> io::Result<()> {
    // Blanks are written before a cell and not behind it, so that no line ends in any.
    let mut blank = 0;
    for (cell, room) in cells.iter().zip(room) {
        if cell.is_empty() {
            blank += room + 2;
            continue;
        }
        write!(out, "{:blank$}{cell}", "")?;
        blank = room.saturating_sub(width(cell)) + 2;
    }
    writeln!(out)
}

/// Writes a JSON list with one element a line.
pub(super) fn write_json(
    out: &mut impl Write,
    elements: impl Iterator<Item = Value>,
) -> io::Result<()> {
    out.write_all(b"[")?;
    for (number, element) in elements.enumerate() {
        out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, &element)?;
    }
    out.write_all(b"\n]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_a_terminal_counts_them() {
        let rows = [["日本", "x"], ["", "y"], ["abc", ""]].map(|row| row.map(str::to_owned));
        let mut out = Vec::new();
        write_table(&mut out, ["a", "b"], rows.into_iter()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a     b\n日本  x\n      y\nabc\n");
    }

    #[test]
    fn a_long_cell_moves_its_own_row_alone() {
        let long = "x".repeat(50);
        let rows = [["a", "b"], [long.as_str(), "c"]].map(|row| row.map(str::to_owned));
        let mut out = Vec::new();
        write_table(&mut out, ["h", "i"], rows.into_iter()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let pad = " ".repeat(41);
        assert_eq!(text, format!("h{pad}i\na{pad}b\n{long}  c\n"));
    }

    #[test]
    fn a_list_of_nothing_is_a_list() {
        let mut out = Vec::new();
        write_json(&mut out, std::iter::empty()).unwrap();
        assert_eq!(out, b"[\n]\n");
    }
}
