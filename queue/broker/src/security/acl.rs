//! Access rules: which principal may do what with which topics, groups, transactional ids and the cluster.
//!
//! Rules only allow. As soon as there is one, what no rule allows is refused, except to super users. Without any,
//! everybody who was admitted may do everything. Names end in `*` where they stand for all that begin so.

use std::fmt;
use std::str::FromStr;

use super::principal::Principal;

/// What can be done, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Everything below.
    All = 2,
    /// Fetch; join a group and commit for it.
    Read = 3,
    /// Produce.
    Write = 4,
    /// Make a topic.
    Create = 5,
    /// Delete a topic, its records, or a group.
    Delete = 6,
    /// Add partitions.
    Alter = 7,
    /// See that it exists, and what it is like.
    Describe = 8,
    /// What brokers do among themselves.
    ClusterAction = 9,
    /// Read settings.
    DescribeConfigs = 10,
    /// Change settings.
    AlterConfigs = 11,
    /// Produce exactly once; who may write to any topic may.
    IdempotentWrite = 12,
}

impl Operation {
    /// By the names of configuration files.
    const NAMES: [(&'static str, Operation); 11] = [
        ("all", Operation::All),
        ("read", Operation::Read),
        ("write", Operation::Write),
        ("create", Operation::Create),
        ("delete", Operation::Delete),
        ("alter", Operation::Alter),
        ("describe", Operation::Describe),
        ("cluster_action", Operation::ClusterAction),
        ("describe_configs", Operation::DescribeConfigs),
        ("alter_configs", Operation::AlterConfigs),
        ("idempotent_write", Operation::IdempotentWrite),
    ];

    /// Whether who may do this may do `other`. As in Kafka, what can be used or changed can be seen.
    fn implies(self, other: Operation) -> bool {
        use Operation::*;
        match other {
            _ if self == All || self == other => true,
            Describe => matches!(self, Read | Write | Delete | Alter),
            DescribeConfigs => self == AlterConfigs,
            _ => false,
        }
    }
}

/// Not the name of an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no operation; there are {names}", names = operation_names())]
pub struct UnknownOperation(String);

fn operation_names() -> String {
    Operation::NAMES
        .map(|(name, _)| format!("`{name}`"))
        .join(", ")
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Operation, UnknownOperation> {
        let known = Operation::NAMES.iter().find(|(name, _)| *name == text);
        known
            .map(|(_, operation)| *operation)
            .ok_or_else(|| UnknownOperation(text.to_owned()))
    }
}

/// What something can be done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    TransactionalId(&'a str),
    Cluster,
}

/// The kind of a resource, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
}

impl Resource<'_> {
    pub(crate) fn kind(self) -> ResourceKind {
        match self {
            Resource::Topic(_) => ResourceKind::Topic,
            Resource::Group(_) => ResourceKind::Group,
            Resource::TransactionalId(_) => ResourceKind::TransactionalId,
            Resource::Cluster => ResourceKind::Cluster,
        }
    }
}

/// A name, or the beginning of names when it was written with a `*` at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    is_prefix: bool,
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        match self.is_prefix {
            true => name.starts_with(&self.text),
            false => name == self.text,
        }
    }

    /// What stands before the `*`, or the whole name.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_prefix(&self) -> bool {
        self.is_prefix
    }
}

/// A pattern that matches nothing, or not what it looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: write a name, or the beginning of names with one `*` at its end")]
pub struct BadPattern(String);

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Pattern, BadPattern> {
        let begin = text.strip_suffix('*');
        let pattern = Pattern {
            text: begin.unwrap_or(text).to_owned(),
            is_prefix: begin.is_some(),
        };
        let is_empty = pattern.text.is_empty() && !pattern.is_prefix;
        if is_empty || pattern.text.contains('*') {
            return Err(BadPattern(text.to_owned()));
        }
        Ok(pattern)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_prefix { "*" } else { "" };
        write!(f, "{}{star}", self.text)
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// Who: `User:agent-*`.
    pub principal: Pattern,
    /// May do what.
    pub allow: Vec<Operation>,
    /// With these topics.
    pub topics: Vec<Pattern>,
    /// With these groups.
    pub groups: Vec<Pattern>,
    /// With these transactional ids.
    pub transactional_ids: Vec<Pattern>,
    /// With the cluster as a whole.
    pub cluster: bool,
}

impl Acl {
    fn allows(&self, operation: Operation) -> bool {
        self.allow.iter().any(|allowed| allowed.implies(operation))
    }

    fn is_about(&self, resource: Resource<'_>) -> bool {
        let matches =
            |patterns: &[Pattern], name| patterns.iter().any(|pattern| pattern.matches(name));
        match resource {
            Resource::Topic(name) => matches(&self.topics, name),
            Resource::Group(name) => matches(&self.groups, name),
            Resource::TransactionalId(name) => matches(&self.transactional_ids, name),
            Resource::Cluster => self.cluster,
        }
    }
}

/// All rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Who may do everything. Alone they are rules, too: then nobody else may do anything.
    pub super_users: Vec<Pattern>,
    /// What others may do.
    pub acls: Vec<Acl>,
}

impl AccessRules {
    /// Whether anything can be refused at all.
    pub(crate) fn are_set(&self) -> bool {
        !self.super_users.is_empty() || !self.acls.is_empty()
    }

    pub(crate) fn allow(
        &self,
        principal: &Principal,
        operation: Operation,
        resource: Resource<'_>,
    ) -> bool {
        self.is_free(principal)
            || self
                .of(principal)
                .any(|acl| acl.allows(operation) && acl.is_about(resource))
    }

    /// Whether the principal may do this with at least one topic, whichever.
    pub(crate) fn allow_with_some_topic(
        &self,
        principal: &Principal,
        operation: Operation,
    ) -> bool {
        self.is_free(principal)
            || self
                .of(principal)
                .any(|acl| acl.allows(operation) && !acl.topics.is_empty())
    }

    fn is_free(&self, principal: &Principal) -> bool {
        let is_super = |pattern: &Pattern| pattern.matches(principal.as_str());
        !self.are_set() || principal.is_own() || self.super_users.iter().any(is_super)
    }

    fn of<'a>(&'a self, principal: &'a Principal) -> impl Iterator<Item = &'a Acl> {
        let is_theirs = |acl: &&Acl| acl.principal.matches(principal.as_str());
        self.acls.iter().filter(is_theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn rules() -> AccessRules {
        AccessRules {
            super_users: patterns(&["User:root"]),
            acls: vec![
                Acl {
                    principal: "User:agent-*".parse().unwrap(),
                    allow: vec![Operation::Write, Operation::Create],
                    topics: patterns(&["logs*", "_agents"]),
                    groups: Vec::new(),
                    transactional_ids: Vec::new(),
                    cluster: false,
                },
                Acl {
                    principal: "User:*".parse().unwrap(),
                    allow: vec![Operation::Describe],
                    topics: Vec::new(),
                    groups: patterns(&["shared"]),
                    transactional_ids: Vec::new(),
                    cluster: true,
                },
            ],
        }
    }

    #[test]
    fn what_no_rule_allows_is_refused() {
        use Operation::*;
        use Resource::*;
        let rules = rules();
        for (user, operation, resource, expected) in [
            ("agent-7", Write, Topic("logs"), true),
            ("agent-7", Write, Topic("logs.web"), true),
            ("agent-7", Describe, Topic("logs.web"), true),
            ("agent-7", Write, Topic("_agents"), true),
            ("agent-7", Write, Topic("_agents2"), false),
            ("agent-7", Write, Topic("log"), false),
            ("agent-7", Read, Topic("logs"), false),
            ("agent-7", Write, Group("logs"), false),
            ("agent-7", Describe, Cluster, true),
            ("agent", Write, Topic("logs"), false),
            ("agent", Describe, Group("shared"), true),
            ("agent", Read, Group("shared"), false),
            ("agent", Alter, Cluster, false),
            ("root", Alter, Cluster, true),
            ("root2", Alter, Cluster, false),
            ("ANONYMOUS", Read, Topic("logs"), false),
        ] {
            let allowed = rules.allow(&Principal::user(user), operation, resource);
            assert_eq!(allowed, expected, "{user} {operation:?} {resource:?}");
        }
        assert!(rules.allow(&Principal::own(), Alter, Cluster));
        assert!(rules.allow_with_some_topic(&Principal::user("agent-7"), Write));
        assert!(!rules.allow_with_some_topic(&Principal::user("agent-7"), Read));
        assert!(!rules.allow_with_some_topic(&Principal::user("agent"), Write));
    }

    #[test]
    fn without_rules_everything_is_allowed_and_with_super_users_alone_nothing_to_others() {
        let anonymous = Principal::anonymous();
        let asks =
            |rules: &AccessRules| rules.allow(&anonymous, Operation::Alter, Resource::Cluster);
        assert!(asks(&AccessRules::default()));
        let closed = AccessRules {
            super_users: patterns(&["User:root"]),
            acls: Vec::new(),
        };
        assert!(!asks(&closed));
    }

    #[test]
    fn a_star_stands_at_the_end_or_nowhere() {
        for text in ["", "a*b", "**", "*a"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        assert!("*".parse::<Pattern>().unwrap().matches("anything"));
        assert_eq!("a*".parse::<Pattern>().unwrap().to_string(), "a*");
        assert!(
            "writ"
                .parse::<Operation>()
                .unwrap_err()
                .to_string()
                .contains("`write`")
        );
    }
}
