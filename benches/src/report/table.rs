//! A Markdown table that is aligned as plain text too.

use std::fmt;

/// Rows under a head. Short rows are filled with empty cells.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    columns: usize,
}

impl Table {
    /// A table with these column heads.
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()], columns: head.len() }
    }

    /// One row more.
    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let mut cells = cells.into();
        cells.resize(self.columns, String::new());
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max();
        (0..self.columns).map(|column| width(column).unwrap_or_default().max(3)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
            if index == 0 {
                widths.iter().try_for_each(|width| write!(f, "|{}", "-".repeat(width + 2)))?;
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["work", "µs"]);
        table.row(["a".to_owned(), "12345".to_owned()]);
        table.row(["long work".to_owned()]);
        let expected = "| work      | µs    |\n|-----------|-------|\n| a         | 12345 |\n| long work |       |\n";
        assert_eq!(table.to_string(), expected);
    }
}
