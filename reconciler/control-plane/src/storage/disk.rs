//! The file: a redb database with one table of objects.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::StorageError;
use super::object::Stored;

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// The form of the entries; raised when it changes.
const FORMAT: u64 = 1;
/// Objects are cached by the store; the file needs only its own inner pages.
const CACHE_BYTES: usize = 8 << 20;

/// The open file.
pub(super) struct Disk {
    path: PathBuf,
    database: Option<Database>,
}

/// One object to write (or to delete) under its kind's name and its key.
pub(super) struct Write<'a> {
    pub(super) kind: &'a str,
    pub(super) key: &'a str,
    pub(super) object: Option<&'a Stored>,
}

impl Disk {
    /// Opens the file, checking all of it, or makes a new one where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        if !path.exists() {
            create(path)?;
        }
        Ok(Self { database: Some(open_checked(path)?), path: path.to_owned() })
    }

    /// Calls `each` with the kind, key and content of every object, and returns the last version given.
    pub(super) fn load(&self, mut each: impl FnMut(&str, &str, Stored)) -> Result<u64, StorageError> {
        let damaged = |why: String| StorageError::Damaged { path: self.path.display().to_string(), why };
        let text = |error: &dyn std::fmt::Display| damaged(error.to_string());
        let database = self.database.as_ref().expect("just opened");
        let read = database.begin_read().map_err(|error| text(&error))?;
        let numbers = read.open_table(NUMBERS).map_err(|error| text(&error))?;
        let number = |name: &str| -> Result<u64, StorageError> {
            let found = numbers.get(name).map_err(|error| text(&error))?;
            Ok(found.ok_or_else(|| damaged(format!("it has no {name}")))?.value())
        };
        let format = number("format")?;
        if format != FORMAT {
            return Err(damaged(format!("its format is {format}, this program reads {FORMAT}")));
        }
        let version = number("resourceVersion")?;
        let objects = read.open_table(OBJECTS).map_err(|error| text(&error))?;
        for entry in objects.iter().map_err(|error| text(&error))? {
            let (key, value) = entry.map_err(|error| text(&error))?;
            let name = std::str::from_utf8(key.value()).map_err(|error| text(&error))?;
            let (kind, key) =
                name.split_once('\0').ok_or_else(|| damaged(format!("{name:?} is not the name of an entry")))?;
            let object = Stored::from_disk(value.value()).map_err(|why| damaged(format!("{kind} {key}: {why}")))?;
            each(kind, key, object);
        }
        Ok(version)
    }

    /// Makes changes durable; returns when they are on the disk. On an error none of them is.
    pub(super) fn commit(&mut self, writes: &[Write<'_>], version: u64) -> Result<(), String> {
        // After a failed write (a full disk) redb wants the file opened anew.
        let database = match self.database.take() {
            Some(database) => database,
            None => open_checked(&self.path).map_err(|error| error.to_string())?,
        };
        match commit(&database, writes, version) {
            Ok(()) => {
                self.database = Some(database);
                Ok(())
            }
            Err(error) => Err(format!("{}: {error}", self.path.display())),
        }
    }
}

fn commit(database: &Database, writes: &[Write<'_>], version: u64) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut name = Vec::new();
        for write in writes {
            name.clear();
            name.extend_from_slice(write.kind.as_bytes());
            name.push(0);
            name.extend_from_slice(write.key.as_bytes());
            match write.object {
                Some(object) => {
                    objects.insert(name.as_slice(), object.to_disk().as_slice())?;
                }
                None => {
                    objects.remove(name.as_slice())?;
                }
            }
        }
        transaction.open_table(NUMBERS)?.insert("resourceVersion", version)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Makes a new file beside its place and moves it there, so that an existing file is always a whole one.
fn create(path: &Path) -> Result<(), StorageError> {
    let unusable = |error: &dyn std::fmt::Display| StorageError::Unusable {
        path: path.display().to_string(),
        why: error.to_string(),
    };
    let new = path.with_extension("new");
    if new.exists() {
        fs::remove_file(&new).map_err(|error| unusable(&error))?;
    }
    let database = Database::builder().create(&new).map_err(|error| unusable(&error))?;
    restrict(&new).map_err(|error| unusable(&error))?;
    let first = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(OBJECTS)?;
        {
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert("format", FORMAT)?;
            numbers.insert("resourceVersion", first_version())?;
        }
        transaction.commit()?;
        Ok(())
    };
    first().map_err(|error| unusable(&error))?;
    drop(database);
    fs::rename(&new, path).map_err(|error| unusable(&error))?;
    if let Some(folder) = path.parent() {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| unusable(&error))?;
    }
    Ok(())
}

/// Versions of a new file begin at the time in seconds: above those of a file that was there before, so that who still holds one of
/// those is told that it is too old.
fn first_version() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(1)
}

/// Secrets are in it: it is nobody else's to read.
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

fn open_checked(path: &Path) -> Result<Database, StorageError> {
    let name = path.display().to_string();
    let damaged = |why: String| StorageError::Damaged { path: name.clone(), why };
    let length =
        fs::metadata(path).map_err(|error| StorageError::Unusable { path: name.clone(), why: error.to_string() })?;
    if length.len() == 0 {
        return Err(damaged("it is empty".to_owned()));
    }
    // redb may panic on a file that was altered behind its back; that too is only a damaged file.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        builder.open(path)
    }));
    match opened {
        Err(_) => Err(damaged("its pages contradict each other".to_owned())),
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => Err(StorageError::InUse { path: name.clone() }),
        Ok(Err(DatabaseError::Storage(redb::StorageError::Io(error))))
            if !matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
        {
            Err(StorageError::Unusable { path: name.clone(), why: error.to_string() })
        }
        Ok(Err(error)) => Err(damaged(error.to_string())),
    }
}
