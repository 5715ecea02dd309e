//! The gallery on disk: a row for each face in SQLite, two pictures in a folder for each day.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, params};

use crate::config::{GalleryConfig as Config, Keep};
use crate::retention::{Item, surplus};

/// Name of the database in the gallery's folder.
const DATABASE: &str = "gallery.sqlite";

/// A face in the gallery.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Entry {
    /// Number of the entry.
    pub id: i64,
    /// Name of the camera.
    pub camera: String,
    /// Number of the face's track.
    pub track: i64,
    /// Time of the snapshot, in milliseconds since 1970.
    pub time: i64,
    /// The detector's confidence, 0 to 1.
    pub score: f64,
    /// Variance of the Laplacian.
    pub sharpness: f64,
    /// Height of the face in pixels of the input.
    pub height: f64,
    /// The drawn picture is what networks made of the input, and says so.
    pub computed: bool,
}

/// What is looked for.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct Wanted {
    /// Only of this camera.
    pub camera: Option<String>,
    /// Not before this time, in milliseconds since 1970.
    pub from: Option<i64>,
    /// Not after this time.
    pub to: Option<i64>,
    /// Only entries older than this one.
    pub before: Option<i64>,
    /// How many at most.
    pub limit: Option<u32>,
}

/// Which of an entry's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What the camera saw.
    Input,
    /// What the networks drew.
    Drawn,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Drawn => "drawn",
        }
    }
}

/// The gallery's rows and pictures.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    folder: PathBuf,
}

fn told(path: &Path) -> impl Fn(rusqlite::Error) -> String + use<> {
    let path = path.join(DATABASE);
    move |error| format!("{}: {error}", path.display())
}

/// Milliseconds since 1970.
pub fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// The day of a time, as a folder's name.
fn day(time: i64) -> String {
    gst::glib::DateTime::from_unix_utc(time / 1000)
        .and_then(|time| time.format("%Y-%m-%d"))
        .map_or_else(|_| "0000-00-00".into(), |text| text.to_string())
}

impl Store {
    /// Opens the gallery, and makes it where there is none.
    ///
    /// # Errors
    /// A folder that cannot be made, a database of something else.
    pub fn open(config: &Config) -> Result<Self, String> {
        let folder = config.folder.clone();
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        let fault = told(&folder);
        let connection = Connection::open(folder.join(DATABASE)).map_err(&fault)?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(&fault)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE IF NOT EXISTS face (
                     id INTEGER PRIMARY KEY AUTOINCREMENT,
                     camera TEXT NOT NULL,
                     track INTEGER NOT NULL,
                     time INTEGER NOT NULL,
                     score REAL NOT NULL,
                     sharpness REAL NOT NULL,
                     height REAL NOT NULL,
                     computed INTEGER NOT NULL DEFAULT 1 CHECK (computed = 1),
                     bytes INTEGER NOT NULL
                 );
                 CREATE INDEX IF NOT EXISTS face_by_time ON face (time);
                 CREATE INDEX IF NOT EXISTS face_by_camera ON face (camera, time);",
            )
            .map_err(&fault)?;
        Ok(Self { connection, folder })
    }

    fn path(&self, id: i64, time: i64, which: Which) -> PathBuf {
        let name = format!("{id}-{}.jpg", which.name());
        self.folder.join(day(time)).join(name)
    }

    /// Adds a face; `entry`'s number is not looked at. Returns the number that it gets.
    ///
    /// # Errors
    /// A picture or a row that cannot be written; nothing is left of it then.
    pub fn add(&mut self, entry: &Entry, input: &[u8], drawn: &[u8]) -> Result<i64, String> {
        let fault = told(&self.folder);
        let bytes = i64::try_from(input.len() + drawn.len()).unwrap_or(i64::MAX);
        let transaction = self.connection.transaction().map_err(&fault)?;
        transaction
            .execute(
                "INSERT INTO face (camera, track, time, score, sharpness, height, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![
                    entry.camera,
                    entry.track,
                    entry.time,
                    entry.score,
                    entry.sharpness,
                    entry.height,
                    bytes
                ],
            )
            .map_err(&fault)?;
        let id = transaction.last_insert_rowid();
        let folder = self.folder.join(day(entry.time));
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            for (which, data) in [(Which::Input, input), (Which::Drawn, drawn)] {
                std::fs::write(folder.join(format!("{id}-{}.jpg", which.name())), data)?;
            }
            Ok(())
        };
        if let Err(error) = write() {
            for which in [Which::Input, Which::Drawn] {
                let _ = std::fs::remove_file(folder.join(format!("{id}-{}.jpg", which.name())));
            }
            return Err(format!("cannot write to {}: {error}", folder.display()));
        }
        transaction.commit().map_err(&fault)?;
        Ok(id)
    }

    /// Faces, the latest first.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn find(&self, wanted: &Wanted) -> Result<Vec<Entry>, String> {
        let fault = told(&self.folder);
        let mut query = self
            .connection
            .prepare(
                "SELECT id, camera, track, time, score, sharpness, height, computed FROM face
                 WHERE (?1 IS NULL OR camera = ?1) AND time >= ?2 AND time <= ?3 AND id < ?4
                 ORDER BY id DESC LIMIT ?5",
            )
            .map_err(&fault)?;
        let rows = query
            .query_map(
                params![
                    wanted.camera,
                    wanted.from.unwrap_or(i64::MIN),
                    wanted.to.unwrap_or(i64::MAX),
                    wanted.before.unwrap_or(i64::MAX),
                    wanted.limit.unwrap_or(48).min(500)
                ],
                |row| {
                    Ok(Entry {
                        id: row.get(0)?,
                        camera: row.get(1)?,
                        track: row.get(2)?,
                        time: row.get(3)?,
                        score: row.get(4)?,
                        sharpness: row.get(5)?,
                        height: row.get(6)?,
                        computed: row.get(7)?,
                    })
                },
            )
            .map_err(&fault)?;
        rows.collect::<Result<_, _>>().map_err(&fault)
    }

    /// A picture of an entry; `None` if there is no such entry.
    ///
    /// # Errors
    /// A database or a picture that cannot be read.
    pub fn picture(&self, id: i64, which: Which) -> Result<Option<Vec<u8>>, String> {
        let time: Option<i64> = self
            .connection
            .query_row("SELECT time FROM face WHERE id = ?", [id], |row| row.get(0))
            .optional()
            .map_err(told(&self.folder))?;
        let Some(time) = time else { return Ok(None) };
        let path = self.path(id, time, which);
        std::fs::read(&path)
            .map(Some)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    }

    /// Deletes what is too old or too much. Returns how many faces.
    ///
    /// # Errors
    /// A database that cannot be written.
    pub fn tidy(&mut self, now: SystemTime, keep: Keep) -> Result<usize, String> {
        let fault = told(&self.folder);
        let now = milliseconds(now);
        let items: Vec<Item<(i64, i64)>> = {
            let mut query = self
                .connection
                .prepare("SELECT id, time, bytes FROM face ORDER BY id DESC")
                .map_err(&fault)?;
            let rows = query
                .query_map([], |row| {
                    let (id, time, bytes): (i64, i64, i64) =
                        (row.get(0)?, row.get(1)?, row.get(2)?);
                    let age = u64::try_from(now.saturating_sub(time)).unwrap_or_default();
                    Ok(Item {
                        what: (id, time),
                        size: u64::try_from(bytes).unwrap_or_default(),
                        age: Duration::from_millis(age),
                    })
                })
                .map_err(&fault)?;
            rows.collect::<Result<_, _>>().map_err(&fault)?
        };
        // Unlike a recording, the latest face is not being written any more: it may go too.
        let last_too_old = items
            .first()
            .filter(|item| keep.age.is_some_and(|age| item.age > age))
            .map(|item| item.what);
        let mut gone = surplus(items, keep);
        gone.extend(last_too_old.filter(|last| !gone.contains(last)));
        for (id, time) in &gone {
            for which in [Which::Input, Which::Drawn] {
                // One that is not there any more is gone already.
                let _ = std::fs::remove_file(self.path(*id, *time, which));
            }
            // Fails where there are others of that day.
            let _ = std::fs::remove_dir(self.folder.join(day(*time)));
            self.connection
                .execute("DELETE FROM face WHERE id = ?", [id])
                .map_err(&fault)?;
        }
        Ok(gone.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(camera: &str, time: i64) -> Entry {
        Entry {
            id: 0,
            camera: camera.into(),
            track: 3,
            time,
            score: 0.9,
            sharpness: 120.0,
            height: 40.0,
            computed: true,
        }
    }

    #[test]
    fn faces_are_found_by_camera_and_time_and_go_when_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            folder: folder.path().join("faces"),
            keep: Keep::default(),
        };
        let mut store = Store::open(&config).unwrap();
        let day = 86_400_000;
        for (camera, time) in [("door", day), ("yard", day + 1000), ("door", 3 * day)] {
            let entry = entry(camera, time);
            store.add(&entry, b"before", b"after").unwrap();
        }
        // Opened again, everything is there.
        drop(store);
        let mut store = Store::open(&config).unwrap();
        let ids = |store: &Store, wanted: &Wanted| -> Vec<i64> {
            let found = store.find(wanted).unwrap();
            assert!(found.iter().all(|entry| entry.computed));
            found.iter().map(|entry| entry.id).collect()
        };
        assert_eq!(ids(&store, &Wanted::default()), [3, 2, 1]);
        let camera = Some("door".to_owned());
        assert_eq!(
            ids(
                &store,
                &Wanted {
                    camera,
                    ..Wanted::default()
                }
            ),
            [3, 1]
        );
        let window = Wanted {
            from: Some(day + 1),
            to: Some(2 * day),
            ..Wanted::default()
        };
        assert_eq!(ids(&store, &window), [2]);
        let older = Wanted {
            before: Some(3),
            limit: Some(1),
            ..Wanted::default()
        };
        assert_eq!(ids(&store, &older), [2]);
        assert_eq!(store.picture(1, Which::Drawn).unwrap().unwrap(), b"after");
        assert_eq!(store.picture(2, Which::Input).unwrap().unwrap(), b"before");
        assert_eq!(store.picture(9, Which::Input), Ok(None));

        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(4 * 86_400);
        let keep = |age, size| Keep {
            age: Some(Duration::from_secs(age)),
            size,
        };
        assert_eq!(store.tidy(now, keep(10 * 86_400, Some(1_000))), Ok(0));
        assert_eq!(store.tidy(now, keep(10 * 86_400, Some(25))), Ok(1));
        assert_eq!(ids(&store, &Wanted::default()), [3, 2]);
        assert_eq!(store.tidy(now, keep(2 * 86_400, None)), Ok(1));
        assert!(!config.folder.join("1970-01-02").exists());
        assert!(config.folder.join("1970-01-04/3-drawn.jpg").exists());
        assert_eq!(store.tidy(now, keep(3_600, None)), Ok(1));
        assert!(ids(&store, &Wanted::default()).is_empty());
    }
}
