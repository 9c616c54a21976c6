//! What somebody may have meant by a name that does not exist.

/// `, perhaps `stats` is meant`, or nothing where no known name is like it.
pub(crate) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let name = name.to_lowercase();
    // Two slips in a long name, one in a short one: more would be a guess.
    let slips_max = if name.chars().count() > 4 { 2 } else { 1 };
    known
        .into_iter()
        .map(|known| (strsim::osa_distance(&name, &known.to_lowercase()), known))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| format!(", perhaps `{known}` is meant"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_is_suggested() {
        let meant = |name| meant(name, ["stats", "sort", "limit"]);
        assert_eq!(meant("stat"), ", perhaps `stats` is meant");
        assert_eq!(meant("SORT"), ", perhaps `sort` is meant");
        assert_eq!(meant("limti"), ", perhaps `limit` is meant");
        assert_eq!(meant("where"), "");
        assert_eq!(meant("s"), "");
    }
}
