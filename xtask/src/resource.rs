//! `cargo xtask new-resource`: a file to begin a new type of resource with.

use std::path::Path;

/// What the file is made of. It does not compile until everything in it is decided: `DECIDE` is what the compiler stops at.
const TEMPLATE: &str = include_str!("resource.template");

/// Writes the file, and returns what comes next.
///
/// # Errors
/// When the names are not usable, or the file exists.
pub(crate) fn write(root: &Path, arguments: &[String]) -> Result<String, String> {
    let [service, kind] = arguments else {
        return Err("cargo xtask new-resource <service> <type>, e.g. `sqs sqs_queue`".to_owned());
    };
    for name in [service, kind] {
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            return Err(format!("`{name}` is not a name: lower-case letters, digits, and underscores"));
        }
    }
    // `sqs_queue` of `sqs` is `sqs::Queue`, in `queue.rs`.
    let short = kind.strip_prefix(&format!("{service}_")).unwrap_or(kind);
    let structure: String =
        short.split('_').filter_map(|word| Some(word.get(..1)?.to_ascii_uppercase() + word.get(1..)?)).collect();
    let folder = root.join("crates/aws/src/resources").join(service);
    let file = folder.join(format!("{short}.rs"));
    if file.exists() {
        return Err(format!("{} exists", file.display()));
    }
    let text = TEMPLATE.replace("{service}", service).replace("{kind}", kind).replace("{Type}", &structure);
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    std::fs::create_dir_all(&folder).map_err(failed)?;
    std::fs::write(&file, text).map_err(failed)?;
    let is_new = !folder.join("mod.rs").exists();
    let shown = file.strip_prefix(root).unwrap_or(&file).display();
    let module = if is_new {
        format!(
            "the service is new: `crates/aws/src/resources/{service}/mod.rs` (see sns/mod.rs), `pub mod {service};` in \
             resources/mod.rs, a variant in resources/tagging.rs, its client in clients.rs, its crate in Cargo.toml (three \
             places, and crates/aws/Cargo.toml), and its name in SERVICES of crates/aws/src/settings.rs: without it, its calls \
             leave the sandbox"
        )
    } else {
        format!("`mod {short};` and `pub use {short}::{structure};` in crates/aws/src/resources/{service}/mod.rs")
    };
    Ok(format!(
        "{shown} is written. It does not compile yet: each DECIDE in it is a decision.\n\
         Next, as docs/adding-a-resource.md says:\n  \
         1. {module}\n  \
         2. `{service}::{structure},` in crates/aws/src/resources/registry.rs\n  \
         3. the decisions in the file\n  \
         4. a place in src/blueprint/, a row in src/cli/ui/severity.rs, the survey, and the other rows of that page\n  \
         5. `cargo xtask it types::`\n"
    ))
}
