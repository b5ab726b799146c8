//! Named parameters: `:name` in a statement, and what PostgreSQL is sent instead.
//! See docs/aws-behaviour.md#data-api-placeholders.

/// A statement as PostgreSQL takes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Positional {
    /// The statement, with `$1`, `$2`, … in the places of the names.
    pub(super) sql: String,
    /// The name that each of them stands for. A name that occurs twice is here twice.
    pub(super) names: Vec<String>,
}

/// Numbers the names of a statement.
///
/// Names in literals, quoted identifiers, and comments are left alone, and so are casts (`::`). What is between dollar
/// quotes, or is the slice of an array, is not: AWS takes a colon there for the start of a name, too.
pub(super) fn positional(sql: &str) -> Positional {
    let mut scanner = Scanner { rest: sql, sql: String::with_capacity(sql.len()), names: Vec::new() };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    Positional { sql: scanner.sql, names: scanner.names }
}

/// Whether a name can be that of a parameter.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_part_of_name)
}

fn is_part_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

struct Scanner<'a> {
    rest: &'a str,
    sql: String,
    names: Vec<String>,
}

impl Scanner<'_> {
    /// Reads whatever is next: a quoted or commented part as a whole, a name, or one character.
    fn step(&mut self) {
        let rest = self.rest;
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if rest.starts_with('\'') {
            let escapes = self.sql.ends_with(['e', 'E'])
                && !self.sql[..self.sql.len() - 1].ends_with(|before: char| is_part_of_name(before));
            quoted(rest, '\'', escapes)
        } else if rest.starts_with('"') {
            quoted(rest, '"', false)
        } else if rest.starts_with("::") {
            2
        } else if let Some(after) = rest.strip_prefix(':') {
            let name = &after[..after.find(|character| !is_part_of_name(character)).unwrap_or(after.len())];
            if !name.is_empty() {
                self.names.push(name.to_owned());
                self.sql.push('$');
                self.sql.push_str(&self.names.len().to_string());
                self.rest = &after[name.len()..];
                return;
            }
            1
        } else {
            rest.chars().next().map_or(0, char::len_utf8)
        };
        self.sql.push_str(&rest[..length]);
        self.rest = &rest[length..];
    }
}

/// The length of a comment, which may contain others.
fn comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while position < text.len() {
        let rest = &text[position..];
        if rest.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a quoted part, with its quotes. A quote in it is written twice, or after a backslash where those count.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((position, character)) = characters.next() {
        if escapes && character == '\\' {
            characters.next();
        } else if character == quote {
            if characters.peek().is_none_or(|(_, next)| *next != quote) {
                return position + 1;
            }
            characters.next();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> (String, Vec<String>) {
        let Positional { sql, names } = positional(sql);
        (sql, names)
    }

    #[test]
    fn each_occurrence_of_a_name_is_a_parameter_of_its_own() {
        let (sql, names) = read("select :a + :b_2 * :a, :3");
        assert_eq!(sql, "select $1 + $2 * $3, $4");
        assert_eq!(names, ["a", "b_2", "a", "3"]);
        assert_eq!(read("values(:a,:b)").0, "values($1,$2)");
    }

    #[test]
    fn what_only_looks_like_a_name_is_left_alone() {
        for sql in [
            "select ':a', 'it''s :a', \":a\", \"b\"\":a\"",
            "select E'it\\'s :a', e'\\\\', '\\'",
            "select 1 -- :a\n",
            "select 1 /* :a /* :b */ :c */",
            "select '1'::int, a[1 : 2], x := 1",
            "select 'é :a'",
            "select ':a",
            "/* :a",
        ] {
            assert_eq!(read(sql), (sql.to_owned(), Vec::new()));
        }
        assert_eq!(read("select type'a' || :b").1, ["b"]);
        assert_eq!(read("select '\\' || :b").1, ["b"], "a backslash is an ordinary character in an ordinary literal");
        assert_eq!(read("select :a::int, é:b").0, "select $1::int, é$2");
    }

    #[test]
    fn names_between_dollars_and_in_slices_are_taken_for_parameters() {
        assert_eq!(read("select $$a :b c$$").0, "select $$a $1 c$$");
        assert_eq!(read("select a[1:2]").0, "select a[1$1]");
    }

    #[test]
    fn names_are_ascii() {
        assert!(is_name("created_at_ms") && is_name("1"));
        assert!(!is_name("") && !is_name("$1") && !is_name("a-b") && !is_name("é"));
    }
}
