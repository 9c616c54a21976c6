//! Builds the web page and writes the table of files that `src/assets.rs` embeds.
//!
//! `LOGBOOM_UI` chooses how:
//! - `auto` (the default): build with npm. In a debug build a missing or failing npm gives a warning
//!   and a stub page that says what to install; in a release build it is an error.
//! - `build`: as `auto`, but a failure is always an error.
//! - `stub`: the stub page, for work on the Rust side without Node.
//! - anything else: a directory with a page that was built before (for packagers without network).
//!
//! Sources are copied to `<target>/ui-npm`, which debug and release share, so that nothing is written
//! into the source tree and `node_modules` (about 150 MB) exists once. `npm ci` runs only when the
//! lockfile changed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

/// What the page is made of. Not `web/` whole: a developer's `node_modules` there is not an input.
const INPUTS: [&str; 7] = [
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    ".npmrc",
];

/// The oldest Node that Vite 8 runs on; Debian 12's own is 18.
const NODE_MIN: (u32, u32) = (20, 19);

fn main() {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-env-changed=LOGBOOM_UI");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=stub");
    for input in INPUTS {
        println!("cargo::rerun-if-changed=web/{input}");
    }
    let mode = env::var("LOGBOOM_UI").unwrap_or_else(|_| "auto".into());
    let page = match mode.as_str() {
        "stub" => stub(&manifest, &out, "It was built with LOGBOOM_UI=stub."),
        "auto" | "build" => match build(&manifest.join("web"), &out) {
            Ok(page) => Ok(page),
            Err(reason) if mode == "auto" && variable("PROFILE") == "debug" => {
                println!(
                    "cargo::warning=the web page was not built, a stub takes its place: {reason}"
                );
                stub(&manifest, &out, &reason)
            }
            Err(reason) => Err(format!("the web page was not built: {reason}")),
        },
        directory => Ok(PathBuf::from(directory)),
    };
    let written = page.and_then(|page| {
        println!("cargo::rerun-if-changed={}", page.display());
        write_table(&page, &out)
    });
    if let Err(reason) = written {
        println!("cargo::error={reason}");
        std::process::exit(1);
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// The page that takes the real one's place and says why and what to do.
fn stub(manifest: &Path, out: &Path, reason: &str) -> Result<PathBuf, String> {
    let page = out.join("stub");
    let escaped = reason.replace('&', "&amp;").replace('<', "&lt;");
    fs::create_dir_all(&page)
        .and_then(|()| fs::read_to_string(manifest.join("stub/index.html")))
        .and_then(|html| fs::write(page.join("index.html"), html.replace("{reason}", &escaped)))
        .and_then(|()| fs::copy(manifest.join("stub/stub.css"), page.join("stub.css")))
        .map(|_| page)
        .map_err(|error| format!("cannot write the stub page: {error}"))
}

/// Builds the page with npm and Vite; the reason of a failure names what to install.
fn build(web: &Path, out: &Path) -> Result<PathBuf, String> {
    check_node()?;
    // <target>/<profile>/build/<crate>-<hash>/out: four up is what all profiles share.
    let shared = out.ancestors().nth(4).unwrap_or(out).join("ui-npm");
    let at = |what: &str, error: io::Error| format!("{what} `{}`: {error}", shared.display());
    fs::create_dir_all(&shared).map_err(|error| at("cannot create", error))?;
    // A debug and a release build may run at once; cargo's own lock is one per profile.
    let lock = File::create(shared.join("lock")).map_err(|error| at("cannot write in", error))?;
    lock.lock().map_err(|error| at("cannot lock", error))?;
    for input in INPUTS {
        replace(&web.join(input), &shared.join(input))
            .map_err(|error| at("cannot copy the sources to", error))?;
    }

    let lockfile = fs::read(web.join("package-lock.json"))
        .map_err(|error| format!("`package-lock.json`: {error}"))?;
    let installed = shared.join("node_modules/.logboom-installed");
    if fs::read(&installed).ok().as_deref() != Some(&lockfile) {
        run(Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&shared))?;
        fs::write(&installed, &lockfile).map_err(|error| at("cannot write in", error))?;
    }
    let page = out.join("page");
    run(Command::new("node")
        .args([
            "node_modules/vite/bin/vite.js",
            "build",
            "--logLevel",
            "warn",
            "--emptyOutDir",
            "--outDir",
        ])
        .arg(&page)
        .current_dir(&shared))?;
    Ok(page)
}

fn check_node() -> Result<(), String> {
    let need = format!("Node ≥ {}.{} with npm is needed", NODE_MIN.0, NODE_MIN.1);
    let output = Command::new("node").arg("--version").output();
    let output = output.map_err(|error| format!("{need}, and `node --version` failed: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text
        .trim_start_matches('v')
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= NODE_MIN => Ok(()),
        _ => Err(format!("{need}, and this machine's is `{text}`")),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("`{name}` did not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    // One line for cargo's warning; the end of what a tool printed is where it says why.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    Err(format!(
        "`{name}` failed ({}): {}",
        output.status,
        lines[lines.len().saturating_sub(12)..].join(" | ")
    ))
}

/// Makes `to` what `from` is, without what was there before: a removed source must not be built in.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        return fs::copy(from, to).map(drop);
    }
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        replace(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Writes `assets.rs`: one row per file, with a gzip twin where that is smaller.
fn write_table(page: &Path, out: &Path) -> Result<(), String> {
    let failed =
        |error: io::Error| format!("cannot embed the page of `{}`: {error}", page.display());
    let mut files = Vec::new();
    list(page, page, &mut files).map_err(failed)?;
    files.sort();
    if !files.iter().any(|name| name == "index.html") {
        return Err(format!(
            "`{}` has no `index.html`; LOGBOOM_UI is auto, build, stub or a built page",
            page.display()
        ));
    }
    let packed = out.join("gzip");
    fs::create_dir_all(&packed).map_err(failed)?;
    let mut table = String::from("pub(super) static ASSETS: &[Asset] = &[\n");
    for (index, name) in files.iter().enumerate() {
        let path = fs::canonicalize(page.join(name)).map_err(failed)?;
        let body = fs::read(&path).map_err(failed)?;
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let gzip = encoder
            .write_all(&body)
            .and_then(|()| encoder.finish())
            .map_err(failed)?;
        let twin = match gzip.len() < body.len() {
            true => {
                let twin = packed.join(format!("{index}.gz"));
                fs::write(&twin, &gzip).map_err(failed)?;
                format!("Some(include_bytes!({:?}))", twin.display().to_string())
            }
            false => "None".to_owned(),
        };
        let etag = format!("\"{:08x}-{:x}\"", crc.sum(), body.len());
        table += &format!(
            "    Asset {{ path: {name:?}, etag: {etag:?}, body: include_bytes!({:?}), gzip: {twin} }},\n",
            path.display().to_string()
        );
    }
    table += "];\n";
    fs::write(out.join("assets.rs"), table).map_err(failed)
}

fn list(root: &Path, directory: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push(name.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
