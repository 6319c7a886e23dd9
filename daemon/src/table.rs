//! Columns for people: plain text, as wide as its widest cell.

use std::fmt::Write;

/// A table under construction.
#[derive(Debug, Clone)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            header: header.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Leaves the column of that name out.
    pub fn hide(&mut self, name: &str) {
        if let Some(column) = self.header.iter().position(|header| header == name) {
            for line in std::iter::once(&mut self.header).chain(&mut self.rows) {
                if column < line.len() {
                    line.remove(column);
                }
            }
        }
    }

    /// Whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.header.len();
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                lines()
                    .map(|l| l.get(c).map_or(0, |t| t.chars().count()))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for line in lines() {
            let mut text = String::new();
            for (column, width) in widths.iter().enumerate() {
                let cell = line.get(column).map_or("", String::as_str);
                write!(text, "{cell:<width$}  ")?;
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["user", "address"]);
        table.row(["alexandra".into(), "10.0.0.2".into()]);
        assert_eq!(
            table.to_string(),
            "user       address\nalexandra  10.0.0.2\n"
        );
        table.hide("user");
        table.hide("age");
        assert_eq!(table.to_string(), "address\n10.0.0.2\n");
    }
}
