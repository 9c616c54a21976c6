//! Which services there are, and their operations: for forms.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use logboom_query::KINDS;

use super::answer::{Names as Answer, OperationName, ServiceNames};
use super::columns::Names;
use super::sweep::Sweep;
use super::{limits, newest_first, range};
use crate::catalog::Snapshot;
use crate::search::{Budget, SearchError, parts};

/// Answers from one snapshot of the spans.
pub fn names(
    snapshot: &Snapshot,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    budget: Budget,
) -> Result<Answer, SearchError> {
    let range = range(from_ns, to_ns)?;
    let mut parts = parts(snapshot)?;
    newest_first(&mut parts);
    let mut services = Names::new(limits::NAMES_MAX);
    let mut operations = Names::new(limits::NAMES_MAX);
    let mut found: HashSet<(u32, u32, u64)> = HashSet::new();
    let (mut last, mut complete) = (None, true);
    let sweep = Sweep::over(&parts, &range, 0, budget.deadline())?;
    let in_time = sweep.each_span(&range, budget.deadline(), |columns, doc, _| {
        let service = columns.service.number(doc, &mut services)?;
        let operation = columns.operation.number(doc, &mut operations)?;
        let (Some(service), Some(operation)) = (service, operation) else {
            complete = false;
            return Ok(());
        };
        let name = (service, operation, columns.kind.get_val(doc));
        // Spans of one operation often come one after the other.
        if last != Some(name) {
            last = Some(name);
            if found.len() < limits::NAMES_MAX {
                found.insert(name);
            } else {
                complete &= found.contains(&name);
            }
        }
        Ok(())
    })?;
    let mut sorted: BTreeMap<&str, BTreeSet<OperationName>> = BTreeMap::new();
    for (service, operation, kind) in found {
        let kind = usize::try_from(kind).unwrap_or_default();
        let kind = kind.checked_sub(1).and_then(|at| KINDS.get(at));
        sorted
            .entry(services.text(service))
            .or_default()
            .insert(OperationName {
                name: operations.text(operation).to_owned(),
                kind: kind.copied().unwrap_or_default().to_owned(),
            });
    }
    Ok(Answer {
        complete: complete && in_time && snapshot.complete,
        services: sorted
            .into_iter()
            .map(|(name, operations)| ServiceNames {
                name: name.to_owned(),
                operations: operations.into_iter().collect(),
            })
            .collect(),
    })
}
