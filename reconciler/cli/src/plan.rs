//! `wasmbed plan`.

use std::process::ExitCode;

use anyhow::Result;
use wasmbed_api::declarations::Report;
use wasmbed_reconciler::preview::{Preview, PreviewRequest, preview, preview_against};

use crate::arguments::{Output, Plan};
use crate::{api, print};

/// Shows what a revision would change. The exit code says whether it would be applied as it is.
///
/// # Errors
/// When the clone, a revision or the API cannot be read.
pub(crate) async fn run(arguments: &Plan, output: Output) -> Result<ExitCode> {
    let mut request = PreviewRequest {
        repository: arguments.repository.clone(),
        head: arguments.revision.clone(),
        base: arguments.from.clone(),
        path: if arguments.path == "." { String::new() } else { arguments.path.clone() },
        fleet: arguments.fleet.clone(),
        namespace: arguments.api.namespace.clone(),
        prune: true,
    };
    let preview = if arguments.live {
        let reached = api::reach(&arguments.api).await?;
        request.namespace = Some(reached.namespace.clone());
        preview_against(&request, reached.client).await?
    } else {
        tokio::task::spawn_blocking(move || preview(&request)).await??
    };
    match output {
        Output::Json => print::json(&preview)?,
        Output::Text => print::line(text(&preview))?,
    }
    Ok(if preview.is_applicable() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(preview: &Preview) -> String {
    let short = |revision: &String| revision.get(..12).unwrap_or(revision).to_owned();
    let base = preview.base.as_ref().map_or_else(|| "what is there".to_owned(), short);
    let mut lines = vec![format!("{} against {base}", short(&preview.head))];
    let report = Report { errors: preview.errors.clone(), notes: preview.notes.clone() };
    if !report.errors.is_empty() || !report.notes.is_empty() {
        lines.push(report.to_string().trim_end().to_owned());
    }
    for change in &preview.changes {
        let place = change.place.as_ref().map_or_else(String::new, |place| format!(" ({place})"));
        let action = format!("{:?}", change.action).to_lowercase();
        lines.push(format!("{action:6} {} {}: {}{place}", change.kind, change.name, change.reason));
    }
    for build in &preview.builds {
        lines.push(match &build.refused {
            Some(refused) => format!("refuse {}: {refused}", build.application),
            None => format!("build  {}", build.application),
        });
    }
    if let Some(deletion) = &preview.deletion {
        lines.push(deletion.why.clone());
        lines.push(match deletion.allowed {
            true => "its commit allows it".to_owned(),
            false => format!(
                "to allow it, add this line to the end of the commit message:\nAllow-Deletion: {}",
                deletion.hash
            ),
        });
    }
    if preview.changes.is_empty() && preview.builds.is_empty() && preview.errors.is_empty() {
        lines.push("nothing would change".to_owned());
    }
    lines.join("\n")
}
