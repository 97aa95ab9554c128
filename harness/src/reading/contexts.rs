//! The user's kube contexts: KUBECONFIG or `~/.kube/config`, read and never written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kube::config::Kubeconfig;

use crate::problem::{Problem, Problems, all_of, nearest};
use crate::role::Role;
use crate::scenario::IstioNamespace;

/// Where the user's kubeconfig is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigFiles {
    /// The files, the first with the last word.
    pub paths: Vec<PathBuf>,
    /// How they are spoken of: `KUBECONFIG`, or the path of the usual one.
    pub place: String,
}

impl KubeconfigFiles {
    /// Those that `KUBECONFIG` names, else the usual one in the user's home.
    pub fn from_environment() -> KubeconfigFiles {
        let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let paths: Vec<PathBuf> = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
        if paths.is_empty() {
            let home = std::env::home_dir().unwrap_or_default();
            return KubeconfigFiles { paths: vec![home.join(".kube/config")], place: "~/.kube/config".to_string() };
        }
        KubeconfigFiles { paths, place: "KUBECONFIG".to_string() }
    }

    /// All of them as one; as kubectl does, those that are not there are passed over as long as one is.
    fn read(&self) -> Result<Kubeconfig, Problem> {
        let (there, missing): (Vec<&PathBuf>, Vec<&PathBuf>) = self.paths.iter().partition(|path| path.is_file());
        if there.is_empty() {
            let missing: Vec<String> = missing.iter().map(|path| format!("`{}`", path.display())).collect();
            let message = format!("there is no file {}", all_of(&missing));
            let instead = "set KUBECONFIG to the file that has the contexts; `kubectl config get-contexts` lists them";
            return Err(Problem::new(&self.place, message, instead));
        }
        there.into_iter().try_fold(Kubeconfig::default(), |all, path| {
            let read = Kubeconfig::read_from(path).and_then(|next| all.merge(next));
            read.map_err(|error| {
                // What the file holds may be a secret: its parser's words are left out.
                let why = crate::check::verdict::chain(&error);
                tracing::debug!("{why}");
                let message = format!("`{}` cannot be read as a kubeconfig", path.display());
                Problem::new(&self.place, message, "see what `kubectl config view` says of it")
            })
        })
    }
}

/// Two contexts that are there.
#[derive(Debug, Clone)]
pub struct Contexts {
    /// The context of each cluster.
    pub names: BTreeMap<Role, String>,
    /// The namespace in which Istio is looked for.
    pub istio_namespace: IstioNamespace,
    /// The kubeconfig that has them.
    pub kubeconfig: Kubeconfig,
}

impl PartialEq for Contexts {
    fn eq(&self, other: &Self) -> bool {
        (&self.names, &self.istio_namespace) == (&other.names, &other.istio_namespace)
    }
}

/// The flag that names them.
const FLAG: &str = "--contexts";

impl Contexts {
    /// Takes two names, if the kubeconfig has them.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn choose(
        written: &[String],
        istio_namespace: IstioNamespace,
        files: &KubeconfigFiles,
    ) -> Result<Contexts, Problems> {
        let mut problems = Problems::new();
        let written: Vec<&str> = written.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
        let form = "two contexts, the primary's first: --contexts PRIMARY,REMOTE";
        match written.as_slice() {
            [one, other] if one == other => {
                problems.push(FLAG, format!("`{one}` is given twice: primary and remote are two clusters"), form);
            }
            [_, _] => {}
            [] => problems.push(FLAG, "no context is given", form),
            [one] => problems.push(FLAG, format!("`{one}` is one context, and a mesh has two clusters"), form),
            many => problems.push(FLAG, format!("{} contexts are given", many.len()), form),
        }
        let Some(kubeconfig) = problems.keep(files.read().map_err(Problems::from)) else { return Err(problems) };
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
        let mut unknown: Vec<&str> = written.iter().copied().filter(|name| !known.contains(name)).collect();
        unknown.dedup();
        for name in unknown {
            let all = if known.is_empty() { "it has none".to_string() } else { format!("it has {}", all_of(&known)) };
            let instead = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("`{meant}`; {all}"),
                None => all,
            };
            problems.push(FLAG, format!("{} has no context `{name}`", files.place), instead);
        }
        let names = Role::ALL.into_iter().zip(written).map(|(role, name)| (role, name.to_string())).collect();
        problems.or(Contexts { names, istio_namespace, kubeconfig })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rstest::rstest;

    use super::{Contexts, KubeconfigFiles};
    use crate::problem::Problems;
    use crate::role::Role;
    use crate::scenario::IstioNamespace;

    fn kubeconfig(contexts: &[&str]) -> String {
        let each = contexts.iter().map(|name| format!("- {{name: {name}, context: {{cluster: c, user: u}}}}\n"));
        let cluster = "{name: c, cluster: {server: 'https://127.0.0.1:1'}}";
        let user = "{name: u, user: {token: very-secret}}";
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{cluster}]\nusers: [{user}]\ncontexts:\n{}",
            each.collect::<String>()
        )
    }

    /// Files with these texts, in a folder that stays as long as the first.
    fn files(texts: &[&str]) -> (tempfile::TempDir, KubeconfigFiles) {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |(index, text): (usize, &&str)| {
            let path = folder.path().join(index.to_string());
            std::fs::write(&path, text).expect("a file");
            path
        };
        let paths = texts.iter().enumerate().map(write).collect();
        (folder, KubeconfigFiles { paths, place: "KUBECONFIG".to_string() })
    }

    fn choose(written: &[&str], files: &KubeconfigFiles) -> Result<Contexts, Problems> {
        let written: Vec<String> = written.iter().map(|name| name.to_string()).collect();
        Contexts::choose(&written, IstioNamespace::default(), files)
    }

    #[test]
    fn contexts_may_stand_in_several_files() {
        let (_folder, mut files) = files(&[&kubeconfig(&["a"]), &kubeconfig(&["b"])]);
        // As kubectl does, one that is not there is passed over.
        files.paths.push(PathBuf::from("/nowhere/config"));
        let contexts = choose(&["a", "b"], &files).expect("both are there");
        assert_eq!((contexts.names[&Role::Primary].as_str(), contexts.names[&Role::Remote].as_str()), ("a", "b"));
    }

    #[rstest]
    #[case::one_alone(&["prod-a"], &["one context"])]
    #[case::the_same_twice(&["prod-a", "prod-a"], &["given twice"])]
    #[case::three(&["prod-a", "prod-b", "prod-c"], &["3 contexts", "no context `prod-c`"])]
    #[case::unknown(&["prod-a", "prodb"], &["no context `prodb`", "`prod-b`; it has prod-a and prod-b"])]
    #[case::both_unknown(&["x", "y"], &["no context `x`", "no context `y`"])]
    #[case::one_alone_and_unknown(&["prd-a"], &["one context", "no context `prd-a`"])]
    fn everything_that_is_wrong_with_contexts_is_said_at_once(#[case] written: &[&str], #[case] said: &[&str]) {
        let (_folder, files) = files(&[&kubeconfig(&["prod-a", "prod-b"])]);
        let problems = choose(written, &files).expect_err("it is wrong").to_string();
        for words in said {
            assert!(problems.contains(words), "{words}: {problems}");
        }
    }

    #[rstest]
    #[case::that_is_not_there(None, "there is no file")]
    #[case::that_is_none(Some("contexts: {token: very-secret"), "cannot be read as a kubeconfig")]
    #[case::without_contexts(Some(""), "it has none")]
    fn a_kubeconfig_of_no_use_is_named_and_not_shown(#[case] text: Option<&str>, #[case] said: &str) {
        let (_folder, mut files) = files(&text.into_iter().collect::<Vec<_>>());
        if files.paths.is_empty() {
            files.paths.push(PathBuf::from("/nowhere/config"));
        }
        let problems = choose(&["a", "b"], &files).expect_err("it is of no use").to_string();
        assert!(problems.contains(said) && !problems.contains("very-secret"), "{problems}");
    }
}
