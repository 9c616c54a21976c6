//! Requests, errors and durations of services over time.
//!
//! A request is an entry span: of kind server or consumer, or without a parent. One that was sent twice counts
//! once. Quantiles are the query crate's: nearest rank, within 1 %.

use logboom_query::{GroupKey, Quantile, Quantiles};
use tantivy::DocId;

use super::answer::{Series, ServiceRow, ServicesAnswer, ServicesRequest};
use super::columns::{Names, SpanColumns};
use super::sweep::{self, Seen, Sweep};
use super::{limits, newest_first, range};
use crate::catalog::Snapshot;
use crate::search::{Budget, RequestError, SearchError, parts, rfc3339};

/// The steps of a series.
#[derive(Debug, Clone, Copy)]
struct Steps {
    first_ns: i64,
    width_ns: i64,
    count: usize,
}

struct Row {
    durations: Quantiles,
    requests: Vec<u64>,
    errors: Vec<u64>,
    /// By step; `None` where there was no request, or no room.
    steps: Vec<Option<Box<Quantiles>>>,
}

struct Requests<'a> {
    steps: Steps,
    /// Only operations of this service, which has this number.
    service: Option<(&'a str, u32)>,
    services: Names,
    names: Names,
    /// By name.
    rows: Vec<Row>,
    cells: usize,
    left_out: u64,
    out_of_cells: bool,
    seen: Seen,
}

/// Answers from one snapshot of the spans.
pub fn services(
    snapshot: &Snapshot,
    request: &ServicesRequest,
    budget: Budget,
) -> Result<ServicesAnswer, SearchError> {
    in_slices(snapshot, request, budget, limits::SLICE_SPANS_MAX)
}

pub(super) fn in_slices(
    snapshot: &Snapshot,
    request: &ServicesRequest,
    budget: Budget,
    spans_max: usize,
) -> Result<ServicesAnswer, SearchError> {
    let mut parts = parts(snapshot)?;
    newest_first(&mut parts);
    let first_ns = parts.iter().map(|part| part.first_ns).min().unwrap_or(0);
    let last_ns = parts.iter().map(|part| part.last_ns).max().unwrap_or(0);
    // A range without spans in it is as good as any.
    let from_ns = request
        .from_ns
        .unwrap_or(first_ns.min(request.to_ns.unwrap_or(i64::MAX).saturating_sub(1)));
    let to_ns = request
        .to_ns
        .unwrap_or(last_ns.max(from_ns).saturating_add(1));
    let range = range(Some(from_ns), Some(to_ns))?;
    let steps = Steps::new(from_ns, to_ns, request.step_ns)?;
    let mut requests = Requests::new(steps, request.service.as_deref());
    let (mut counted_from_ns, mut in_time) = (None, false);
    let sweep = Sweep::over(&parts, &range, 0, budget.deadline())?;
    for slice in sweep.slices(&range, spans_max) {
        requests.seen.forget();
        in_time = sweep.each_span(&slice, budget.deadline(), |columns, doc, time_ns| {
            if columns.is_entry(doc) {
                requests.add(columns, doc, time_ns)?;
            }
            Ok(())
        })?;
        if !in_time {
            break;
        }
        counted_from_ns = Some(slice.start);
    }
    let mut notes = requests.notes();
    notes.extend((!in_time).then(|| sweep::note(counted_from_ns)));
    Ok(ServicesAnswer {
        complete: notes.is_empty() && snapshot.complete,
        step_ns: steps.width_ns,
        from: rfc3339(from_ns),
        to: rfc3339(to_ns),
        rows: requests.into_rows(),
        notes,
    })
}

impl<'a> Requests<'a> {
    fn new(steps: Steps, service: Option<&'a str>) -> Requests<'a> {
        let mut services = Names::new(limits::NAMES_MAX);
        // Before all others, so that it has a number however many there are.
        let wanted = service.and_then(|service| services.number(service));
        Requests {
            steps,
            service: service.zip(wanted),
            services,
            names: Names::new(limits::ROWS_MAX),
            rows: Vec::new(),
            cells: 0,
            left_out: 0,
            out_of_cells: false,
            seen: Seen::default(),
        }
    }

    fn add(
        &mut self,
        columns: &mut SpanColumns,
        doc: DocId,
        time_ns: i64,
    ) -> Result<(), SearchError> {
        let name = match self.service {
            None => columns.service.number(doc, &mut self.names)?,
            Some((_, wanted)) => {
                if columns.service.number(doc, &mut self.services)? != Some(wanted) {
                    return Ok(());
                }
                columns.operation.number(doc, &mut self.names)?
            }
        };
        let Some(name) = name else {
            self.left_out += 1;
            return Ok(());
        };
        if !self.seen.is_new(columns.key(doc), time_ns) {
            return Ok(());
        }
        let (name, step) = (name as usize, self.steps.of(time_ns));
        if name >= self.rows.len() {
            self.rows
                .resize_with(name + 1, || Row::new(self.steps.count));
        }
        let row = &mut self.rows[name];
        let duration = columns.duration.get_val(doc) as f64;
        row.durations.add(duration);
        row.requests[step] += 1;
        row.errors[step] += u64::from(columns.is_error(doc));
        if row.steps[step].is_none() {
            if self.cells >= limits::CELLS_MAX {
                self.out_of_cells = true;
                return Ok(());
            }
            self.cells += 1;
        }
        row.steps[step]
            .get_or_insert_with(|| Box::new(Quantiles::new()))
            .add(duration);
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let left_out = (self.left_out > 0).then(|| {
            format!(
                "{} requests of more than {} names are left out",
                self.left_out,
                limits::ROWS_MAX
            )
        });
        let cells = self.out_of_cells.then(|| {
            "quantiles over time are left out for some rows; ask for a longer step".to_owned()
        });
        let twice = self
            .seen
            .overflowed
            .then(|| "so many spans started at one instant that some may count twice".to_owned());
        [left_out, cells, twice].into_iter().flatten().collect()
    }

    fn into_rows(self) -> Vec<ServiceRow> {
        let mut rows = Vec::new();
        for (number, row) in (0..).zip(self.rows) {
            let name = self.names.text(number).to_owned();
            let requests: u64 = row.requests.iter().sum();
            if requests == 0 {
                continue;
            }
            let (service, operation) = match self.service {
                None => (name, None),
                Some((service, _)) => (service.to_owned(), Some(name)),
            };
            let total = |name| quantile(&row.durations, name).unwrap_or(0.0);
            let over_time = |name| {
                let steps = row.steps.iter();
                steps
                    .map(|step| step.as_ref().and_then(|step| quantile(step, name)))
                    .collect()
            };
            rows.push(ServiceRow {
                service,
                operation,
                requests,
                errors: row.errors.iter().sum(),
                p50: total("p50"),
                p95: total("p95"),
                p99: total("p99"),
                series: Series {
                    t: self.steps.starts_ms(),
                    p50: over_time("p50"),
                    p95: over_time("p95"),
                    p99: over_time("p99"),
                    requests: row.requests,
                    errors: row.errors,
                },
            });
        }
        let name = |row: &ServiceRow| (row.service.clone(), row.operation.clone());
        rows.sort_by(|a, b| {
            b.requests
                .cmp(&a.requests)
                .then_with(|| name(a).cmp(&name(b)))
        });
        rows
    }
}

impl Row {
    fn new(steps: usize) -> Row {
        Row {
            durations: Quantiles::new(),
            requests: vec![0; steps],
            errors: vec![0; steps],
            steps: vec![None; steps],
        }
    }
}

impl Steps {
    fn new(from_ns: i64, to_ns: i64, step_ns: Option<i64>) -> Result<Steps, RequestError> {
        let width = i128::from(to_ns) - i128::from(from_ns);
        let default = (width / i128::from(limits::STEPS_DEFAULT)).max(1);
        let width_ns = step_ns.unwrap_or(i64::try_from(default).unwrap_or(i64::MAX));
        if width_ns < 1 {
            return Err(RequestError::Step { found: width_ns });
        }
        let first_ns = GroupKey::bin_ns(width_ns, from_ns);
        let reach = i128::from(to_ns) - 1 - i128::from(first_ns);
        let count = reach / i128::from(width_ns) + 1;
        if count > i128::from(limits::STEPS_MAX) {
            return Err(RequestError::Steps {
                found: count,
                max: limits::STEPS_MAX,
            });
        }
        Ok(Steps {
            first_ns,
            width_ns,
            count: usize::try_from(count).unwrap_or(1),
        })
    }

    /// The time must lie within the range.
    fn of(self, time_ns: i64) -> usize {
        let since = time_ns.wrapping_sub(self.first_ns).cast_unsigned();
        let step = usize::try_from(since / self.width_ns.cast_unsigned());
        step.unwrap_or(usize::MAX).min(self.count - 1)
    }

    fn starts_ms(self) -> Vec<i64> {
        let starts = (0..).take(self.count);
        starts
            .map(|step: i128| {
                let ns = i128::from(self.first_ns) + step * i128::from(self.width_ns);
                i64::try_from(ns.div_euclid(1_000_000)).unwrap_or(i64::MAX)
            })
            .collect()
    }
}

pub(crate) fn quantile(values: &Quantiles, name: &str) -> Option<f64> {
    values.quantile(Quantile::parse(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_aligned_and_cover_the_range() {
        let steps = Steps::new(15, 41, Some(10)).unwrap();
        assert_eq!((steps.first_ns, steps.count), (10, 4));
        assert_eq!([15, 20, 40].map(|ns| steps.of(ns)), [0, 1, 3]);
        let widest = Steps::new(i64::MIN, i64::MAX, None).unwrap();
        assert_eq!(widest.of(i64::MAX - 1), widest.count - 1);
        assert_eq!(widest.of(i64::MIN), 0);
        assert!(Steps::new(0, 1_000_000, Some(1)).is_err());
        assert!(Steps::new(0, 10, Some(0)).is_err());
    }
}
