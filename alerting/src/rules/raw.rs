//! A rule file as it is written: the YAML keys, nothing resolved.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::ReceiverConfig;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) version: Spanned<u64>,
    #[serde(default)]
    pub(super) rules: Vec<Spanned<RawRule>>,
    #[serde(default)]
    pub(super) receivers: Vec<Spanned<ReceiverConfig>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) index: Option<Spanned<String>>,
    pub(super) query: Option<Spanned<String>>,
    pub(super) regex: Option<Spanned<String>>,
    pub(super) threshold: Option<Spanned<RawThreshold>>,
    #[serde(rename = "for")]
    pub(super) for_: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) receivers: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawThreshold {
    pub(super) count: Option<Spanned<i64>>,
    pub(super) quantile: Option<Spanned<String>>,
    pub(super) field: Option<Spanned<String>>,
    pub(super) above: Option<Spanned<String>>,
    pub(super) count_min: Option<Spanned<i64>>,
    pub(super) within: Spanned<String>,
    #[serde(default)]
    pub(super) group_by: Vec<Spanned<String>>,
}
