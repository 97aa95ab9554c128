//! `capture`: reads a mesh, and writes a folder that tells of it.

use super::args::CaptureWish;
use super::interrupt::Interrupt;
use super::output::{data, out, say};
use crate::budget::Budgets;
use crate::bundle::{self, ACCOUNT};
use crate::event::Recorder;
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::reading::rbac;
use crate::report::terminal::{Manner, Terminal, Volume};

/// Prints the rights that it takes, or captures a mesh.
///
/// # Errors
/// A [`Problem`] where the folder cannot be written.
pub async fn capture(wish: &CaptureWish, volume: Volume) -> Result<Exit, Problems> {
    let (wish, folder, anonymise) = match wish {
        CaptureWish::Rights(asked, secret) => {
            let rights: Vec<_> =
                bundle::rights(secret.as_deref()).into_iter().filter(|(right, _)| right.role == asked.role).collect();
            let head = format!(
                "# What `meshproof capture` reads in the {role} cluster, and no more: nothing that writes, and no Secret unless one \
                 is\n# named with --remote-secret. For the other cluster: --print-rbac {other}.\n#\n#     meshproof capture \
                 --print-rbac {role} | kubectl --context CONTEXT apply -f -\n#\n",
                role = asked.role,
                other = asked.role.other()
            );
            data(&(head + &rbac::objects(ACCOUNT, &rights, &asked.istio_namespace, &asked.subject)));
            return Ok(Exit::Green);
        }
        CaptureWish::Bundle { wish, out, anonymise } => (wish, out, *anonymise),
    };
    let recorder = Recorder::new(vec![Box::new(Terminal::new(std::io::stderr(), Manner::detect(volume)))]);
    let interrupt = Interrupt::listen(recorder.clone(), "nothing was written".to_string());
    let captured = tokio::select! {
        captured = bundle::capture::capture(wish, &recorder, Budgets { slow: 1.0 }) => captured,
        () = interrupt.cancel.cancelled() => return Ok(Exit::Interrupted),
    };
    interrupt.over();
    // Why not, was said as it was found.
    let Ok(captured) = captured else { return Ok(Exit::NoVerdict) };
    for not in &captured.index.not_read {
        say("Not read", &format!("{}: {}", not.what, not.why));
    }
    let captured = if anonymise { bundle::anonymised(captured) } else { captured };
    let written = bundle::write(&captured, folder).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", folder.display());
        Problem::new("--out", message, "a folder that you may write to, with room for a MiB")
    })?;
    for path in written {
        out(&format!("{}\n", path.display()));
    }
    let shown = crate::tool::quote(&folder.to_string_lossy());
    say("Look at", &format!("what it says before you share it; then: meshproof plan {shown}, meshproof run {shown}"));
    Ok(Exit::Green)
}
