//! The levels put together.

use super::level::{Level, NONE};
use crate::error::{Error, Result};
use crate::query::{Document, ReadPlan, cursor};

const DATA: &[u8] = b"\"data\":";

/// Counts beside the list.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::db) struct Counts {
    pub(in crate::db) total: Option<i64>,
    pub(in crate::db) filtered: Option<i64>,
}

/// Writes `"data":...` and, where something was counted, `,"meta":{...}`.
///
/// Fails with `Forbidden` where one item is asked for and there is none.
pub(in crate::db) fn assemble(plan: &ReadPlan, levels: Vec<Level>, counts: Counts) -> Result<Vec<u8>> {
    assemble_as(plan.document, plan, levels, counts)
}

/// The same in another form than that of the plan.
pub(super) fn assemble_as(
    document: Document,
    plan: &ReadPlan,
    mut levels: Vec<Level>,
    counts: Counts,
) -> Result<Vec<u8>> {
    let root =
        levels.first().ok_or_else(|| Error::internal(anyhow::anyhow!("a read plan without levels")))?;
    let next_cursor = plan.nodes.first().and_then(|node| node.cursor.as_ref()).map(|plan| {
        (root.rows.len() as u64 >= plan.page && !root.rows.is_empty())
            .then(|| cursor::write(&plan.hash, &root.last))
    });
    let size: usize = levels.iter().map(|level| level.bytes.len()).sum();
    let mut out = Vec::with_capacity(size + size / 4 + 64);
    out.extend_from_slice(DATA);
    match document {
        Document::List => {
            out.push(b'[');
            if plan.nodes.len() == 1 {
                // Rows of a root without gaps are separated already.
                let root = levels.swap_remove(0);
                out.extend_from_slice(&root.bytes);
            } else {
                for row in 0..root.rows.len() {
                    if row > 0 {
                        out.push(b',');
                    }
                    write_row(plan, &levels, 0, row, &mut out);
                }
            }
            out.push(b']');
        }
        Document::One | Document::Singleton => match (root.rows.is_empty(), document) {
            (false, _) => write_row(plan, &levels, 0, 0, &mut out),
            (true, Document::Singleton) => {
                out.extend_from_slice(plan.nodes[0].defaults.as_deref().unwrap_or("null").as_bytes());
            }
            (true, _) => return Err(Error::Forbidden),
        },
    }
    write_meta(counts, &mut out);
    if let Some(next) = next_cursor {
        let has_figures = counts.total.is_some() || counts.filtered.is_some();
        write_cursor(next.as_deref(), has_figures, &mut out);
    }
    Ok(out)
}

/// Rows of the first level in one piece of a read that is handed on piece by piece.
pub(in crate::db) const ROWS_PER_PIECE: usize = 500;

/// A piece of a read as a JSON list, whatever the document would be.
pub(in crate::db) fn piece(plan: &ReadPlan, mut levels: Vec<Level>) -> Vec<u8> {
    let mut out = vec![b'['];
    if let ([_], [_]) = (plan.nodes.as_slice(), levels.as_slice()) {
        let root = levels.swap_remove(0);
        out.extend_from_slice(&root.bytes);
    } else {
        for row in 0..levels.first().map_or(0, |root| root.rows.len()) {
            if row > 0 {
                out.push(b',');
            }
            write_row(plan, &levels, 0, row, &mut out);
        }
    }
    out.push(b']');
    out
}

/// The list in the finished members of an answer without counts.
pub(in crate::db) fn list_of(mut members: Vec<u8>) -> Vec<u8> {
    if members.starts_with(DATA) {
        members.drain(..DATA.len());
    }
    members
}

/// Adds the cursor of the next page to the figures that were written. It is made of letters, digits, `-` and `_`.
fn write_cursor(cursor: Option<&str>, has_figures: bool, out: &mut Vec<u8>) {
    if has_figures {
        out.pop();
        out.push(b',');
    } else {
        out.extend_from_slice(b",\"meta\":{");
    }
    out.extend_from_slice(b"\"next_cursor\":");
    match cursor {
        Some(cursor) => {
            out.push(b'"');
            out.extend_from_slice(cursor.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// Writes `,"meta":{...}` where something was counted.
pub(in crate::db) fn write_meta(counts: Counts, out: &mut Vec<u8>) {
    let members = [(counts.total, "\"total_count\":"), (counts.filtered, "\"filter_count\":")];
    let mut is_first = true;
    for (count, key) in members {
        let Some(count) = count else { continue };
        out.extend_from_slice(if is_first { b",\"meta\":{" } else { b"," });
        is_first = false;
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }
    if !is_first {
        out.push(b'}');
    }
}

/// Recursion is as deep as the plan, which the query limits bound.
fn write_row(plan: &ReadPlan, levels: &[Level], node: usize, row: usize, out: &mut Vec<u8>) {
    let level = &levels[node];
    let (end, last_gap) = level.ends(row);
    let start = level.rows[row];
    let mut position = start.start as usize;
    for gap in &level.gaps[start.first_gap as usize..last_gap as usize] {
        out.extend_from_slice(&level.bytes[position..gap.offset as usize]);
        position = gap.offset as usize;
        let below = gap.node as usize;
        let first = match levels[below].chains.get(gap.slot as usize) {
            Some(chain) => chain.first,
            None => NONE,
        };
        if plan.nodes[below].link.as_ref().is_some_and(|link| link.single) {
            if first == NONE {
                out.extend_from_slice(b"null");
            } else {
                write_row(plan, levels, below, first as usize, out);
            }
        } else {
            out.push(b'[');
            let mut row = first;
            while row != NONE {
                if row != first {
                    out.push(b',');
                }
                write_row(plan, levels, below, row as usize, out);
                row = levels[below].rows[row as usize].next;
            }
            out.push(b']');
        }
    }
    out.extend_from_slice(&level.bytes[position..end as usize]);
}
