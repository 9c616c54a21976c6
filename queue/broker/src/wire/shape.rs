//! The requests that this broker takes, as data: which versions, and of which fields a body is made.
//!
//! The guard walks a body along these shapes, and ApiVersions advertises their ranges. That a shape is right is
//! tested against the codec: for every version, what the codec encodes, the guard walks to the last byte.

use kafka_protocol::messages::ApiKey;

/// How one value lies on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, nullable or not.
    Text,
    /// Opaque bytes, nullable or not.
    Blob,
    /// An array of structures.
    Structs(&'static [Field]),
    /// An array of bare values.
    Values(&'static Kind),
}

/// A value that is there from one version to another, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) from: i16,
    pub(crate) to: i16,
}

/// One request type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) key: ApiKey,
    /// Lowest version that ApiVersions declares.
    pub(crate) declared_min: i16,
    /// Lowest version that is served.
    pub(crate) min: i16,
    /// Highest version that is declared and served.
    pub(crate) max: i16,
    /// First version with compact lengths and tagged fields.
    pub(crate) flexible: i16,
    pub(crate) fields: &'static [Field],
    /// Tagged fields of the outermost structure that the codec decodes by itself, instead of skipping them by
    /// their size: the guard holds size and content against each other.
    pub(crate) tags: &'static [(u32, Kind)],
}

const INT8: Kind = Kind::Fixed(1);
const INT16: Kind = Kind::Fixed(2);
const INT32: Kind = Kind::Fixed(4);
const INT64: Kind = Kind::Fixed(8);
const UUID: Kind = Kind::Fixed(16);
const TEXT: Kind = Kind::Text;

const fn always(kind: Kind) -> Field {
    since(0, kind)
}
const fn since(from: i16, kind: Kind) -> Field {
    Field {
        kind,
        from,
        to: i16::MAX,
    }
}
const fn until(to: i16, kind: Kind) -> Field {
    Field { kind, from: 0, to }
}
const fn within(from: i16, to: i16, kind: Kind) -> Field {
    Field { kind, from, to }
}
const fn structs(fields: &'static [Field]) -> Field {
    always(Kind::Structs(fields))
}
const fn shape(key: ApiKey, min: i16, max: i16, flexible: i16, fields: &'static [Field]) -> Shape {
    Shape {
        key,
        declared_min: min,
        min,
        max,
        flexible,
        fields,
        tags: &[],
    }
}

/// The shape of requests with this key, if the broker serves them at all.
pub(crate) fn of(api_key: i16) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.key as i16 == api_key)
}

/// Ascending by key, the order in which ApiVersions lists them.
pub(crate) static SHAPES: &[Shape] = &[
    Shape {
        // Old librdkafka looks for Produce v0 and, not finding it, silently stops compressing (KAFKA-18659).
        declared_min: 0,
        ..shape(
            ApiKey::Produce,
            3,
            11,
            9,
            &[
                always(TEXT),
                always(INT16),
                always(INT32),
                structs(&[always(TEXT), structs(&[always(INT32), always(Kind::Blob)])]),
            ],
        )
    },
    Shape {
        tags: &[(0, TEXT)],
        ..shape(
            ApiKey::Fetch,
            4,
            // 13 and up name topics by id only.
            12,
            12,
            &[
                always(INT32),
                always(INT32),
                always(INT32),
                always(INT32),
                always(INT8),
                since(7, INT32),
                since(7, INT32),
                structs(&[
                    always(TEXT),
                    structs(&[
                        always(INT32),
                        since(9, INT32),
                        always(INT64),
                        since(12, INT32),
                        since(5, INT64),
                        always(INT32),
                    ]),
                ]),
                since(
                    7,
                    Kind::Structs(&[always(TEXT), always(Kind::Values(&INT32))]),
                ),
                since(11, TEXT),
            ],
        )
    },
    shape(
        ApiKey::ListOffsets,
        1,
        7,
        6,
        &[
            always(INT32),
            since(2, INT8),
            structs(&[
                always(TEXT),
                structs(&[always(INT32), since(4, INT32), always(INT64)]),
            ]),
        ],
    ),
    shape(
        ApiKey::Metadata,
        0,
        12,
        9,
        &[
            structs(&[since(10, UUID), always(TEXT)]),
            since(4, INT8),
            within(8, 10, INT8),
            since(8, INT8),
        ],
    ),
    shape(
        ApiKey::OffsetCommit,
        2,
        8,
        8,
        &[
            always(TEXT),
            always(INT32),
            always(TEXT),
            since(7, TEXT),
            until(4, INT64),
            structs(&[
                always(TEXT),
                structs(&[always(INT32), always(INT64), since(6, INT32), always(TEXT)]),
            ]),
        ],
    ),
    shape(
        ApiKey::OffsetFetch,
        1,
        8,
        6,
        &[
            until(7, TEXT),
            until(
                7,
                Kind::Structs(&[always(TEXT), always(Kind::Values(&INT32))]),
            ),
            since(
                8,
                Kind::Structs(&[
                    always(TEXT),
                    structs(&[always(TEXT), always(Kind::Values(&INT32))]),
                ]),
            ),
            since(7, INT8),
        ],
    ),
    shape(
        ApiKey::FindCoordinator,
        0,
        4,
        3,
        &[
            until(3, TEXT),
            since(1, INT8),
            since(4, Kind::Values(&TEXT)),
        ],
    ),
    shape(
        ApiKey::JoinGroup,
        0,
        9,
        6,
        &[
            always(TEXT),
            always(INT32),
            since(1, INT32),
            always(TEXT),
            since(5, TEXT),
            always(TEXT),
            structs(&[always(TEXT), always(Kind::Blob)]),
            since(8, TEXT),
        ],
    ),
    shape(
        ApiKey::Heartbeat,
        0,
        4,
        4,
        &[always(TEXT), always(INT32), always(TEXT), since(3, TEXT)],
    ),
    shape(
        ApiKey::LeaveGroup,
        0,
        5,
        4,
        &[
            always(TEXT),
            until(2, TEXT),
            since(
                3,
                Kind::Structs(&[always(TEXT), always(TEXT), since(5, TEXT)]),
            ),
        ],
    ),
    shape(
        ApiKey::SyncGroup,
        0,
        5,
        4,
        &[
            always(TEXT),
            always(INT32),
            always(TEXT),
            since(3, TEXT),
            since(5, TEXT),
            since(5, TEXT),
            structs(&[always(TEXT), always(Kind::Blob)]),
        ],
    ),
    shape(
        ApiKey::DescribeGroups,
        0,
        6,
        5,
        &[always(Kind::Values(&TEXT)), since(3, INT8)],
    ),
    shape(
        ApiKey::ListGroups,
        0,
        5,
        3,
        &[since(4, Kind::Values(&TEXT)), since(5, Kind::Values(&TEXT))],
    ),
    shape(ApiKey::SaslHandshake, 0, 1, i16::MAX, &[always(TEXT)]),
    shape(
        ApiKey::ApiVersions,
        0,
        4,
        3,
        &[since(3, TEXT), since(3, TEXT)],
    ),
    shape(
        ApiKey::CreateTopics,
        2,
        7,
        5,
        &[
            structs(&[
                always(TEXT),
                always(INT32),
                always(INT16),
                structs(&[always(INT32), always(Kind::Values(&INT32))]),
                structs(&[always(TEXT), always(TEXT)]),
            ]),
            always(INT32),
            always(INT8),
        ],
    ),
    shape(
        ApiKey::DeleteTopics,
        1,
        6,
        4,
        &[
            since(6, Kind::Structs(&[always(TEXT), always(UUID)])),
            until(5, Kind::Values(&TEXT)),
            always(INT32),
        ],
    ),
    shape(
        ApiKey::DeleteRecords,
        0,
        2,
        2,
        &[
            structs(&[always(TEXT), structs(&[always(INT32), always(INT64)])]),
            always(INT32),
        ],
    ),
    shape(
        ApiKey::InitProducerId,
        0,
        4,
        2,
        &[
            always(TEXT),
            always(INT32),
            since(3, INT64),
            since(3, INT16),
        ],
    ),
    shape(
        ApiKey::OffsetForLeaderEpoch,
        2,
        4,
        4,
        &[
            since(3, INT32),
            structs(&[
                always(TEXT),
                structs(&[always(INT32), always(INT32), always(INT32)]),
            ]),
        ],
    ),
    shape(
        ApiKey::AddPartitionsToTxn,
        0,
        // 4 and up are for brokers, or belong to the second protocol of transactions, as 4 and 5 of the next ones do.
        3,
        3,
        &[
            always(TEXT),
            always(INT64),
            always(INT16),
            structs(&[always(TEXT), always(Kind::Values(&INT32))]),
        ],
    ),
    shape(
        ApiKey::AddOffsetsToTxn,
        0,
        3,
        3,
        &[always(TEXT), always(INT64), always(INT16), always(TEXT)],
    ),
    shape(
        ApiKey::EndTxn,
        0,
        3,
        3,
        &[always(TEXT), always(INT64), always(INT16), always(INT8)],
    ),
    shape(
        ApiKey::TxnOffsetCommit,
        0,
        3,
        3,
        &[
            always(TEXT),
            always(TEXT),
            always(INT64),
            always(INT16),
            since(3, INT32),
            since(3, TEXT),
            since(3, TEXT),
            structs(&[
                always(TEXT),
                structs(&[always(INT32), always(INT64), since(2, INT32), always(TEXT)]),
            ]),
        ],
    ),
    shape(
        ApiKey::DescribeAcls,
        1,
        3,
        2,
        &[
            always(INT8),
            always(TEXT),
            always(INT8),
            always(TEXT),
            always(TEXT),
            always(INT8),
            always(INT8),
        ],
    ),
    shape(
        ApiKey::CreateAcls,
        1,
        3,
        2,
        &[structs(&[
            always(INT8),
            always(TEXT),
            always(INT8),
            always(TEXT),
            always(TEXT),
            always(INT8),
            always(INT8),
        ])],
    ),
    shape(
        ApiKey::DeleteAcls,
        1,
        3,
        2,
        &[structs(&[
            always(INT8),
            always(TEXT),
            always(INT8),
            always(TEXT),
            always(TEXT),
            always(INT8),
            always(INT8),
        ])],
    ),
    shape(
        ApiKey::DescribeConfigs,
        1,
        4,
        4,
        &[
            structs(&[always(INT8), always(TEXT), always(Kind::Values(&TEXT))]),
            always(INT8),
            since(3, INT8),
        ],
    ),
    shape(
        ApiKey::AlterConfigs,
        0,
        2,
        2,
        &[
            structs(&[
                always(INT8),
                always(TEXT),
                structs(&[always(TEXT), always(TEXT)]),
            ]),
            always(INT8),
        ],
    ),
    shape(
        ApiKey::DescribeLogDirs,
        1,
        4,
        2,
        &[structs(&[always(TEXT), always(Kind::Values(&INT32))])],
    ),
    shape(ApiKey::SaslAuthenticate, 0, 2, 2, &[always(Kind::Blob)]),
    shape(
        ApiKey::CreatePartitions,
        0,
        3,
        2,
        &[
            structs(&[
                always(TEXT),
                always(INT32),
                structs(&[always(Kind::Values(&INT32))]),
            ]),
            always(INT32),
            always(INT8),
        ],
    ),
    shape(
        ApiKey::DeleteGroups,
        0,
        2,
        2,
        &[always(Kind::Values(&TEXT))],
    ),
    shape(
        ApiKey::IncrementalAlterConfigs,
        0,
        1,
        1,
        &[
            structs(&[
                always(INT8),
                always(TEXT),
                structs(&[always(TEXT), always(INT8), always(TEXT)]),
            ]),
            always(INT8),
        ],
    ),
    shape(
        ApiKey::OffsetDelete,
        0,
        0,
        // It was made before flexible versions, and there was never another.
        1,
        &[
            always(TEXT),
            structs(&[always(TEXT), structs(&[always(INT32)])]),
        ],
    ),
    shape(
        ApiKey::DescribeCluster,
        0,
        2,
        0,
        &[always(INT8), since(1, INT8), since(2, INT8)],
    ),
    shape(
        ApiKey::DescribeProducers,
        0,
        0,
        0,
        &[structs(&[always(TEXT), always(Kind::Values(&INT32))])],
    ),
    shape(
        ApiKey::DescribeTransactions,
        0,
        0,
        0,
        &[always(Kind::Values(&TEXT))],
    ),
    shape(
        ApiKey::ListTransactions,
        0,
        1,
        0,
        &[
            always(Kind::Values(&TEXT)),
            always(Kind::Values(&INT64)),
            since(1, INT64),
        ],
    ),
];
