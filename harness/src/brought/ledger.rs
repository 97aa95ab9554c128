//! The record of a run as it grows: kept in a file, so that a run that is killed can be cleaned up after.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use super::record::{BEFORE, ClusterRecord, FILE, FORM, Record};
use crate::install::inventory::{self, Entry, Found};
use crate::lab::Cluster;
use crate::lab::cluster::ClusterError;
use crate::problem::Problem;
use crate::role::Role;

/// All objects of each cluster before the install.
pub type Before = BTreeMap<Role, Vec<Found>>;

/// A record with its files.
#[derive(Debug)]
pub struct Ledger {
    /// Where its files are, once there is something to write down.
    folder: OnceLock<PathBuf>,
    before: OnceLock<Before>,
    record: Mutex<Record>,
}

/// What is in a cluster now that was not there before the install.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct New {
    /// What the install made.
    pub ours: Vec<Found>,
    /// What others made meanwhile.
    pub theirs: Vec<Found>,
}

impl Ledger {
    /// A record that is not written down yet: nothing may be made.
    pub fn planned(record: Record) -> Ledger {
        Ledger { folder: OnceLock::new(), before: OnceLock::new(), record: Mutex::new(record) }
    }

    /// Takes in what is there before.
    pub fn found(&self, before: Before) {
        let _ = self.before.set(before);
    }

    /// Says what more will be made in a cluster.
    pub fn announce(&self, role: Role, announced: BTreeSet<Entry>) {
        if let Some(of) = self.record().clusters.get_mut(&role) {
            of.announced.extend(announced);
        }
    }

    /// Writes it into the folder of a run, and goes on writing there.
    ///
    /// # Errors
    /// [`io::Error`] where it cannot be written: then nothing may be made.
    pub fn begin(&self, folder: &Path) -> io::Result<()> {
        let folder = std::path::absolute(folder)?;
        write(&folder.join(BEFORE), &self.before.get())?;
        write(&folder.join(FILE), &*self.record())?;
        let _ = self.folder.set(folder);
        Ok(())
    }

    /// Reads a record, and what was there before from the file beside it.
    ///
    /// # Errors
    /// A [`Problem`] where it is none, or of another meshproof.
    pub fn read(path: &Path) -> Result<Ledger, Problem> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let folder = absolute.parent().unwrap_or(Path::new("/")).to_path_buf();
        let instead = || format!("the {FILE} in the folder of a run with --allow-install, with its {BEFORE} beside it");
        let refused = |path: &Path, why: String| Problem::new(path.display().to_string(), why, instead());
        let text = |path: &Path| {
            std::fs::read_to_string(path).map_err(|error| refused(path, format!("cannot be read: {error}")))
        };
        let record: Record =
            serde_json::from_str(&text(path)?).map_err(|error| refused(path, format!("is no record: {error}")))?;
        if record.form != FORM {
            let why = format!("is of form {}, and this meshproof reads form {FORM}", record.form);
            return Err(refused(path, format!("{why}; it was written by meshproof {}", record.meshproof)));
        }
        if let Some(removed) = record.removed {
            let why = format!("is of what was removed on {}", removed.strftime("%Y-%m-%d %H:%M:%SZ"));
            let instead = "nothing to be done: what is there now was made by somebody else".to_string();
            return Err(Problem::new(path.display().to_string(), why, instead));
        }
        let path = folder.join(BEFORE);
        let before = serde_json::from_str::<Before>(&text(&path)?)
            .map_err(|error| refused(&path, format!("cannot be used: {error}")))?;
        Ok(Ledger { folder: folder.into(), before: OnceLock::from(before), record: Mutex::new(record) })
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.get().cloned().unwrap_or_default().join(FILE)
    }

    /// The record as it is now.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What it says of one cluster.
    pub fn of(&self, role: Role) -> ClusterRecord {
        self.record().clusters[&role].clone()
    }

    /// All objects that were there before.
    pub fn before(&self, role: Role) -> &[Found] {
        self.before.get().and_then(|before| before.get(&role)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Looks at a cluster, and writes down what the install has made there since.
    ///
    /// # Errors
    /// [`ClusterError`] where a kind cannot be listed.
    pub async fn look(&self, cluster: &Cluster) -> Result<New, ClusterError> {
        let new = self.new_among(cluster.role, inventory::objects(cluster).await?);
        let noted = self.record().clusters.get_mut(&cluster.role).is_some_and(|of| of.note(&new.ours));
        if noted {
            self.write();
        }
        Ok(new)
    }

    /// Writes it down as it is now, once it has a folder.
    fn write(&self) {
        let record = self.record();
        if self.folder.get().is_some()
            && let Err(error) = write(&self.path(), &*record)
        {
            // What is in it is announced in any case, and found again by that.
            tracing::warn!("{} cannot be written: {error}", self.path().display());
        }
    }

    /// Writes down that all was seen that stays in the clusters.
    pub fn installed(&self) {
        self.record().installed = Some(jiff::Timestamp::now());
        self.write();
    }

    /// Writes down that nothing of it is there any more.
    pub fn removed(&self) {
        self.record().removed = Some(jiff::Timestamp::now());
        self.write();
    }

    /// What was made anew under announced names since all of it was seen: by somebody else, then, and not the install's.
    ///
    /// # Errors
    /// [`ClusterError`] where a kind cannot be listed.
    pub async fn made_anew(&self, cluster: &Cluster) -> Result<Vec<Entry>, ClusterError> {
        if self.record().installed.is_none() {
            return Ok(Vec::new());
        }
        let of = self.of(cluster.role);
        let known: BTreeSet<&str> = of.created.iter().map(|created| created.uid.as_str()).collect();
        let ours = self.new_among(cluster.role, inventory::objects(cluster).await?).ours.into_iter();
        let anew = ours.filter(|found| of.announced.contains(&found.entry) && !known.contains(found.uid.as_str()));
        Ok(anew.map(|found| found.entry).collect())
    }

    /// Of these objects, what was not there before.
    fn new_among(&self, role: Role, found: Vec<Found>) -> New {
        let record = self.of(role);
        let known: BTreeSet<&str> = self.before(role).iter().map(|found| found.uid.as_str()).collect();
        let new = found.into_iter().filter(|found| !known.contains(found.uid.as_str()));
        let (ours, others): (Vec<Found>, Vec<Found>) = new.partition(|found| record.is_ours(found));
        let theirs = others.into_iter().filter(|found| !self.is_given(role, &found.entry)).collect();
        New { ours, theirs }
    }

    /// Whether controllers of this cluster give this to each namespace: all of those before have it.
    fn is_given(&self, role: Role, entry: &Entry) -> bool {
        let before = self.before(role);
        let same = |found: &&Found| found.entry.kind == entry.kind && found.entry.name == entry.name;
        let having: BTreeSet<&str> = before.iter().filter(same).map(|found| found.entry.namespace.as_str()).collect();
        let mut namespaces = before.iter().filter(|found| found.entry.kind == "Namespace").peekable();
        namespaces.peek().is_some() && namespaces.all(|found| having.contains(found.entry.name.as_str()))
    }

    /// Names of all objects of a cluster but those that others made meanwhile: what D12 compares.
    ///
    /// # Errors
    /// [`ClusterError`] where a kind cannot be listed.
    pub async fn inventory(&self, cluster: &Cluster) -> Result<BTreeSet<Entry>, ClusterError> {
        let all = inventory::objects(cluster).await?;
        let theirs: BTreeSet<Entry> =
            self.new_among(cluster.role, all.clone()).theirs.into_iter().map(|found| found.entry).collect();
        Ok(all.into_iter().map(|found| found.entry).filter(|entry| !theirs.contains(entry)).collect())
    }
}

/// Writes a file so that a kill in between leaves the old or the new one.
fn write(path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    serde_json::to_writer_pretty(&mut file, value)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::{Before, Ledger, Record};
    use crate::brought::record::{BEFORE, ClusterRecord, FILE, FORM};
    use crate::install::inventory::{Entry, Found};
    use crate::role::Role;

    fn entry(kind: &str, namespace: &str, name: &str) -> Entry {
        Entry { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    fn found(entry: Entry, uid: &str) -> Found {
        let (api_version, managers) = ("v1".to_string(), ["kubectl".to_string()].into());
        Found { entry, api_version, uid: uid.to_string(), managers, labels: BTreeMap::new(), owned: false }
    }

    fn ledger() -> Ledger {
        let cluster = ClusterRecord {
            name: "cluster1".to_string(),
            context: "mine".to_string(),
            server: String::new(),
            kube_system_uid: "1".to_string(),
            namespaces: vec!["istio-system".to_string()],
            announced: Default::default(),
            created: Vec::new(),
        };
        let ledger = Ledger::planned(Record {
            form: FORM,
            meshproof: "0.0.1".to_string(),
            started: jiff::Timestamp::UNIX_EPOCH,
            installed: None,
            removed: None,
            istio_namespace: Default::default(),
            clusters: [(Role::Primary, cluster)].into(),
        });
        let given = ["default", "shop"].map(|of| found(entry("ConfigMap", of, "kube-root-ca.crt"), of));
        let namespaces = ["default", "shop"].map(|name| found(entry("Namespace", "", name), name));
        let own = found(entry("ConfigMap", "default", "app"), "app");
        let before = given.into_iter().chain(namespaces).chain([own]).collect();
        ledger.found(Before::from([(Role::Primary, before)]));
        ledger
    }

    #[rstest]
    #[case::in_every_namespace("kube-root-ca.crt", 0)]
    #[case::of_a_name_that_default_has_too("app", 1)]
    #[case::of_a_name_of_its_own("mine", 1)]
    fn only_what_each_namespace_has_is_given_to_a_new_one(#[case] name: &str, #[case] theirs: usize) {
        let new = ledger().new_among(Role::Primary, vec![found(entry("ConfigMap", "istio-system", name), "new")]);
        assert_eq!((new.ours.len(), new.theirs.len()), (0, theirs));
    }

    #[test]
    fn a_record_of_what_was_removed_removes_nothing_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = ledger();
        ledger.begin(folder.path()).expect("it can be written");
        assert!(folder.path().join(BEFORE).exists());
        let path = folder.path().join(FILE);
        assert!(Ledger::read(&path).is_ok());
        ledger.removed();
        let problem = Ledger::read(&path).expect_err("it is done");
        assert!(problem.message.contains("was removed on"), "{}", problem.message);
    }
}
