//! The sixteen loghub samples, cut into lines as the acceptance defines them.

use std::path::PathBuf;

pub(crate) const SYSTEMS: [&str; 16] = [
    "Android",
    "Apache",
    "BGL",
    "HDFS",
    "HPC",
    "Hadoop",
    "HealthApp",
    "Linux",
    "Mac",
    "OpenSSH",
    "OpenStack",
    "Proxifier",
    "Spark",
    "Thunderbird",
    "Windows",
    "Zookeeper",
];

/// A line and what ends it in the file: `\r\n`, `\n`, or nothing at the end of the file.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) bytes: Vec<u8>,
    pub(crate) terminator: &'static [u8],
}

pub(crate) fn read(system: &str) -> Vec<Line> {
    let folder = std::env::var_os("LOGBOOM_SAMPLES").expect(
        "set LOGBOOM_SAMPLES to a folder with the 2k samples of https://github.com/logpai/loghub",
    );
    let path = PathBuf::from(folder).join(format!("{system}_2k.log"));
    let content =
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    cut(&content)
}

fn cut(content: &[u8]) -> Vec<Line> {
    content
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            let terminator: &[u8] = match line {
                [.., b'\r', b'\n'] => b"\r\n",
                [.., b'\n'] => b"\n",
                _ => b"",
            };
            Line {
                bytes: line[..line.len() - terminator.len()].to_vec(),
                terminator,
            }
        })
        .collect()
}

/// Lines that no sample has: Chinese text, each one different.
pub(crate) fn chinese(count: usize) -> Vec<Line> {
    const WHAT: [&str; 4] = [
        "用户登录失败",
        "连接超时，正在重试",
        "磁盘空间不足",
        "订单已支付",
    ];
    (0..count)
        .map(|number| Line {
            bytes: format!(
                "2026-01-01 08:00:{:02} 错误 {} 编号={number}",
                number % 60,
                WHAT[number % 4]
            )
            .into_bytes(),
            terminator: b"\n",
        })
        .collect()
}

#[test]
fn loghub_samples_are_what_the_acceptance_says() {
    let lines: Vec<Line> = SYSTEMS.iter().flat_map(|system| read(system)).collect();
    assert_eq!(lines.len(), 32_000);
    let distinct: std::collections::HashSet<&[u8]> =
        lines.iter().map(|line| line.bytes.as_slice()).collect();
    assert_eq!(distinct.len(), 30_233);
}
