//! From the time that a line writes to nanoseconds since the epoch.
//!
//! Two things are missing from many lines, and both are taken from the record, never from the machine: the
//! zone (the agent's `lb.tz`, else UTC; from the zone data compiled into the binary, so that every machine
//! gives the same answer) and the year (the one that puts the time at most a day after its arrival).

mod part;
pub(crate) mod scan;

use std::cell::RefCell;

use jiff::tz::{TimeZone, TimeZoneDatabase};

pub(crate) const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// A clock that was never set writes 1970; such a time is no better than none.
const PLAUSIBLE_FROM_NS: i64 = 365 * DAY_NS;

/// The last year that 64 bits of nanoseconds hold completely.
const YEAR_MAX: i64 = 2261;

/// A date and time as written. The fields are in their ranges except that `day` may exceed its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) year: Option<i64>,
    pub(crate) month: u32,
    pub(crate) day: u32,
    /// Up to 60, for leap seconds, which count as the next minute's first.
    pub(crate) second_of_day: u32,
    pub(crate) nanos: u32,
    /// East of Greenwich.
    pub(crate) offset_seconds: Option<i32>,
}

/// What turns a written time into an instant.
pub(crate) struct Clock {
    arrival_ns: i64,
    /// `None` is UTC.
    zone: Option<TimeZone>,
}

impl Clock {
    pub(crate) fn new(arrival_ns: i64, zone: Option<&str>) -> Clock {
        Clock {
            arrival_ns,
            zone: zone.and_then(zone_named),
        }
    }

    /// The instant of a written time; `None` for the 30th of February and for implausible times.
    pub(crate) fn instant(&self, written: &Written) -> Option<i64> {
        if let Some(year) = written.year {
            return self.in_year(year, written);
        }
        let latest = self.arrival_ns.saturating_add(DAY_NS);
        let next = year_of(self.arrival_ns) + 1;
        // Nine years back, because the 29th of February can be eight years away.
        (next - 9..=next)
            .rev()
            .filter_map(|year| self.in_year(year, written))
            .find(|&instant| instant <= latest)
    }

    fn in_year(&self, year: i64, written: &Written) -> Option<i64> {
        if !(1970..=YEAR_MAX).contains(&year) || written.day > days_in_month(year, written.month) {
            return None;
        }
        let days = days_since_epoch(year, written.month, written.day);
        let local = days * 86_400 + i64::from(written.second_of_day);
        let seconds = match (written.offset_seconds, &self.zone) {
            (Some(offset), _) => local - i64::from(offset),
            (None, None) => local,
            (None, Some(zone)) => local - offset_at(zone, local)?,
        };
        plausible(seconds.checked_mul(SECOND_NS)? + i64::from(written.nanos))
    }
}

/// An epoch number in the unit that its size tells: seconds, milli-, micro- or nanoseconds. The ranges
/// do not overlap from 1973 to 2286.
pub(crate) fn epoch(number: i64) -> Option<i64> {
    let ns = match number {
        100_000_000..10_000_000_000 => number.checked_mul(SECOND_NS)?,
        100_000_000_000..10_000_000_000_000 => number.checked_mul(1_000_000)?,
        100_000_000_000_000..10_000_000_000_000_000 => number.checked_mul(1_000)?,
        100_000_000_000_000_000.. => number,
        _ => return None,
    };
    plausible(ns)
}

fn plausible(ns: i64) -> Option<i64> {
    (ns >= PLAUSIBLE_FROM_NS).then_some(ns)
}

/// Seconds east of Greenwich at a local time. In the hour that is repeated in autumn the first pass counts;
/// in the hour that is skipped in spring, the offset before it.
fn offset_at(zone: &TimeZone, local_seconds: i64) -> Option<i64> {
    let local = jiff::Timestamp::from_second(local_seconds).ok()?;
    let civil = jiff::tz::Offset::UTC.to_datetime(local);
    let instant = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    Some(local_seconds - instant.as_second())
}

/// Zones already looked up by this thread. An agent has one or two; the bound is for strangers.
const ZONES_MAX: usize = 32;

thread_local! {
    static ZONES: RefCell<Vec<(String, Option<TimeZone>)>> = const { RefCell::new(Vec::new()) };
}

/// `None` for UTC and for a name that is no zone.
fn zone_named(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name == "UTC" {
        return None;
    }
    ZONES.with_borrow_mut(|zones| {
        if let Some((_, zone)) = zones.iter().find(|(known, _)| known == name) {
            return zone.clone();
        }
        let zone = TimeZoneDatabase::bundled().get(name).ok();
        if zones.len() >= ZONES_MAX {
            zones.clear();
        }
        zones.push((name.to_owned(), zone.clone()));
        zone
    })
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years start in March, so that the leap day
/// is the last.
fn days_since_epoch(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

fn year_of(ns: i64) -> i64 {
    let days = ns.div_euclid(DAY_NS);
    // Off by at most one either way; settled by looking at that year's first day.
    let guess = 1970 + (days * 400).div_euclid(146_097);
    (guess - 1..=guess + 1)
        .rev()
        .find(|&year| days_since_epoch(year, 1, 1) <= days)
        .unwrap_or(guess)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(year: Option<i64>, month: u32, day: u32, hour: u32) -> Written {
        Written {
            year,
            month,
            day,
            second_of_day: hour * 3600,
            nanos: 0,
            offset_seconds: None,
        }
    }

    fn ns(text: &str) -> i64 {
        let instant: jiff::Timestamp = text.parse().unwrap();
        i64::try_from(instant.as_nanosecond()).unwrap()
    }

    #[test]
    fn the_calendar_agrees_with_jiff_on_every_day() {
        let mut date = jiff::civil::date(1970, 1, 1);
        for days in 0..106_000 {
            let (year, month, day) = (date.year(), date.month() as u32, date.day() as u32);
            assert_eq!(days_since_epoch(year.into(), month, day), days, "{date}");
            assert_eq!(
                days_in_month(year.into(), month),
                date.days_in_month() as u32
            );
            assert_eq!(year_of(days * DAY_NS), i64::from(year), "{date}");
            assert_eq!(
                year_of(days * DAY_NS + DAY_NS - 1),
                i64::from(year),
                "{date}"
            );
            date = date.tomorrow().unwrap();
        }
        for extreme in [i64::MIN, -1, i64::MAX] {
            assert!((1677..=2262).contains(&year_of(extreme)), "{extreme}");
        }
    }

    #[test]
    fn a_missing_year_puts_the_time_at_most_a_day_after_its_arrival() {
        let cases = [
            ("2026-01-01T00:00:00Z", (6, 14), "2025-06-14T12:00:00Z"),
            ("2026-01-01T00:00:00Z", (1, 1), "2026-01-01T12:00:00Z"),
            ("2026-01-01T00:00:00Z", (1, 2), "2025-01-02T12:00:00Z"),
            ("2025-12-31T20:00:00Z", (1, 1), "2026-01-01T12:00:00Z"),
            ("2025-12-31T06:00:00Z", (1, 1), "2025-01-01T12:00:00Z"),
            ("2027-03-01T00:00:00Z", (2, 29), "2024-02-29T12:00:00Z"),
            ("2103-03-01T00:00:00Z", (2, 29), "2096-02-29T12:00:00Z"),
        ];
        for (arrival, (month, day), expected) in cases {
            let clock = Clock::new(ns(arrival), None);
            let instant = clock.instant(&written(None, month, day, 12));
            assert_eq!(instant, Some(ns(expected)), "{arrival} {month}-{day}");
        }
        assert_eq!(Clock::new(0, None).instant(&written(None, 2, 30, 0)), None);
        // Before 1970 there is no year to take; the event keeps its arrival.
        assert_eq!(
            Clock::new(i64::MIN, None).instant(&written(None, 2, 3, 0)),
            None
        );
    }

    #[test]
    fn a_missing_zone_is_the_agents_zone() {
        let clock = Clock::new(ns("2026-01-01T00:00:00Z"), Some("Europe/Berlin"));
        let summer = clock.instant(&written(Some(2025), 7, 1, 12));
        assert_eq!(summer, Some(ns("2025-07-01T10:00:00Z")));
        let repeated = clock.instant(&written(Some(2025), 10, 26, 2));
        assert_eq!(repeated, Some(ns("2025-10-26T00:00:00Z")));
        let skipped = clock.instant(&written(Some(2025), 3, 30, 2));
        assert_eq!(skipped, Some(ns("2025-03-30T01:00:00Z")));
        let yearless = clock.instant(&written(None, 12, 31, 1));
        assert_eq!(yearless, Some(ns("2025-12-31T00:00:00Z")));

        let unknown = Clock::new(0, Some("Mars/Olympus"));
        assert_eq!(
            unknown.instant(&written(Some(2025), 7, 1, 12)),
            Some(ns("2025-07-01T12:00:00Z"))
        );
        let mut explicit = written(Some(2025), 7, 1, 12);
        explicit.offset_seconds = Some(-3_600);
        assert_eq!(clock.instant(&explicit), Some(ns("2025-07-01T13:00:00Z")));
    }

    #[test]
    fn an_epoch_number_tells_its_unit_by_its_size() {
        let second = 1_700_000_000;
        for unit in [1, 1_000, 1_000_000, 1_000_000_000] {
            assert_eq!(epoch(second * unit), Some(second * SECOND_NS), "{unit}");
        }
        for number in [i64::MIN, -1, 0, 1, 20_240_101, 31_000_000] {
            assert_eq!(epoch(number), None, "{number}");
        }
    }
}
