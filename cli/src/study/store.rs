//! Sessions and marks of a study in an SQLite file. Everything is written before it is answered, so that nothing is lost with the program.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::plan::{self, Question};
use super::sets::Set;
use crate::failure::{Failure, Result};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS study (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS sessions (
        id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, rater TEXT NOT NULL, seed INTEGER NOT NULL,
        started TEXT NOT NULL, finished TEXT) STRICT;
    CREATE TABLE IF NOT EXISTS questions (
        session INTEGER NOT NULL REFERENCES sessions, position INTEGER NOT NULL, data_set TEXT NOT NULL, picture TEXT NOT NULL,
        slots TEXT NOT NULL, trap INTEGER NOT NULL, views INTEGER NOT NULL DEFAULT 0,
        answered TEXT, milliseconds INTEGER, refused INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (session, position)) STRICT;
    CREATE TABLE IF NOT EXISTS marks (
        session INTEGER NOT NULL, position INTEGER NOT NULL, slot INTEGER NOT NULL, treatment TEXT NOT NULL, mark INTEGER NOT NULL,
        PRIMARY KEY (session, position, slot), FOREIGN KEY (session, position) REFERENCES questions) STRICT;
";
const VERSION: &str = "1";
/// The time now, as it is written.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// The file.
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyPlace {
    /// The session's number.
    pub session: i64,
    /// Position of the next question, and that question; `None` when all are answered.
    pub next: Option<(usize, Question)>,
    /// Number of questions.
    pub count: usize,
}

/// What a rater gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The question.
    pub question: Question,
    /// Treatment and mark of each place.
    pub marks: Vec<(String, u8)>,
}

/// A rater's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rater {
    /// The session's number.
    pub session: i64,
    /// What the rater typed as a name, or nothing.
    pub name: String,
    /// Whether all questions are answered.
    pub finished: bool,
    /// The answers so far.
    pub given: Vec<Given>,
}

impl Store {
    /// Opens the file at `path` for the study of these sets; makes it where there is none.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that is no such database, or that of another study.
    pub fn open(path: &Path, sets: &[Set]) -> Result<Self> {
        let store = Self::connect(path)?;
        store.run(|c| c.execute_batch(SCHEMA))?;
        let wanted = serde_json::to_string(sets).map_err(|error| store.failed(&error))?;
        for (name, value) in [("version", VERSION), ("sets", &wanted)] {
            store.run(|c| {
                c.execute(
                    "INSERT OR IGNORE INTO study VALUES (?1, ?2)",
                    params![name, value],
                )
            })?;
        }
        store.check_version()?;
        if store.value("sets")?.as_deref() == Some(&wanted) {
            return Ok(store);
        }
        let path = path.display();
        Err(Failure::Failed(format!(
            "{path}: expected the marks of a study of these pictures and treatments, found those of others; \
             name another file with --database, or put the pictures back"
        )))
    }

    /// Opens the file at `path`, which is there, to read marks.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that is not there or no such database.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Err(Failure::Failed(format!(
                "{}: expected the database of a study, found no file",
                path.display()
            )));
        }
        let store = Self::connect(path)?;
        store.check_version()?;
        Ok(store)
    }

    fn connect(path: &Path) -> Result<Self> {
        let opened = Connection::open(path);
        let connection = opened.map_err(|error| failed(path, &error))?;
        let store = Self {
            connection,
            path: path.to_owned(),
        };
        // Readers and the one writer do not wait for one another.
        store.run(|c| {
            c.execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;",
            )
        })?;
        Ok(store)
    }

    fn check_version(&self) -> Result<()> {
        match self.value("version")?.as_deref() {
            Some(VERSION) => Ok(()),
            found => Err(Failure::Failed(format!(
                "{}: expected the database of a study in version {VERSION}, found {}",
                self.path.display(),
                found.map_or("none".into(), |found| format!("version {found}"))
            ))),
        }
    }

    fn failed(&self, error: &impl ToString) -> Failure {
        failed(&self.path, error)
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.connection).map_err(|error| self.failed(&error))
    }

    fn value(&self, name: &str) -> Result<Option<String>> {
        self.run(|c| {
            c.query_row("SELECT value FROM study WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
        })
    }

    /// The sets that the study is of.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that is damaged.
    pub fn sets(&self) -> Result<Vec<Set>> {
        let text = self.value("sets")?.unwrap_or_default();
        serde_json::from_str(&text).map_err(|error| self.failed(&error))
    }

    /// Begins a session with `traps` trapping questions; returns its token, which nobody can guess.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that cannot be written.
    pub fn begin(&mut self, rater: &str, traps: usize) -> Result<String> {
        let sets = self.sets()?;
        let (token, seed): (String, i64) = self.run(|c| {
            c.query_row("SELECT lower(hex(randomblob(16))), random()", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })?;
        let questions = plan::questions(&sets, traps, seed.cast_unsigned());
        let path = self.path.clone();
        let work = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute(
                &format!(
                    "INSERT INTO sessions (token, rater, seed, started) VALUES (?1, ?2, ?3, {NOW})"
                ),
                params![token, rater, seed],
            )?;
            let session = transaction.last_insert_rowid();
            for (position, question) in questions.iter().enumerate() {
                transaction.execute(
                    "INSERT INTO questions (session, position, data_set, picture, slots, trap) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        session,
                        position as i64,
                        question.set,
                        question.picture,
                        serde_json::json!(question.slots).to_string(),
                        question.trap
                    ],
                )?;
            }
            transaction.commit()
        };
        work(&mut self.connection).map_err(|error| failed(&path, &error))?;
        Ok(token)
    }

    /// Where the session of `token` stands; `None` if there is none.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that is damaged.
    pub fn place(&self, token: &str) -> Result<Option<StudyPlace>> {
        let session = self.run(|c| {
            c.query_row("SELECT id FROM sessions WHERE token = ?1", [token], |row| {
                row.get(0)
            })
            .optional()
        })?;
        let Some(session) = session else {
            return Ok(None);
        };
        let count: i64 = self.run(|c| {
            c.query_row(
                "SELECT count(*) FROM questions WHERE session = ?1",
                [session],
                |row| row.get(0),
            )
        })?;
        let next: Option<i64> = self.run(|c| {
            c.query_row(
                "SELECT min(position) FROM questions WHERE session = ?1 AND answered IS NULL",
                [session],
                |row| row.get(0),
            )
        })?;
        let next = match next {
            Some(position) => Some((
                position as usize,
                self.question(session, position as usize)?,
            )),
            None => None,
        };
        Ok(Some(StudyPlace {
            session,
            next,
            count: count as usize,
        }))
    }

    /// The question at `position` of a session.
    ///
    /// # Errors
    /// [`Failure::Failed`] if there is none.
    pub fn question(&self, session: i64, position: usize) -> Result<Question> {
        self.run(|c| {
            c.query_row(
                "SELECT data_set, picture, slots, trap FROM questions WHERE session = ?1 AND position = ?2",
                params![session, position as i64],
                question,
            )
        })
    }

    /// Notes that a question was shown.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that cannot be written.
    pub fn seen(&self, session: i64, position: usize) -> Result<()> {
        self.note(session, position, "views = views + 1")
    }

    /// Notes that an answer was refused.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that cannot be written.
    pub fn refused(&self, session: i64, position: usize) -> Result<()> {
        self.note(session, position, "refused = refused + 1")
    }

    fn note(&self, session: i64, position: usize, change: &str) -> Result<()> {
        self.run(|c| {
            c.execute(
                &format!("UPDATE questions SET {change} WHERE session = ?1 AND position = ?2"),
                params![session, position as i64],
            )
        })?;
        Ok(())
    }

    /// Writes the answer to the question at `position`, in place of an earlier one. `marks` have been checked.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that cannot be written.
    pub fn answer(
        &mut self,
        session: i64,
        position: usize,
        marks: &[u8],
        milliseconds: u64,
    ) -> Result<()> {
        let slots = self.question(session, position)?.slots;
        let path = self.path.clone();
        let at = position as i64;
        let work = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            for (slot, (treatment, mark)) in slots.iter().zip(marks).enumerate() {
                transaction.execute(
                    "INSERT OR REPLACE INTO marks VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![session, at, slot as i64, treatment, mark],
                )?;
            }
            transaction.execute(
                &format!("UPDATE questions SET answered = {NOW}, milliseconds = ?3 WHERE session = ?1 AND position = ?2"),
                params![session, at, i64::try_from(milliseconds).unwrap_or(i64::MAX)],
            )?;
            transaction.execute(
                &format!(
                    "UPDATE sessions SET finished = {NOW} WHERE id = ?1 AND finished IS NULL
                     AND NOT EXISTS (SELECT 1 FROM questions WHERE session = ?1 AND answered IS NULL)"
                ),
                [session],
            )?;
            transaction.commit()
        };
        work(&mut self.connection).map_err(|error| failed(&path, &error))
    }

    /// All sessions with what was answered in them.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a file that is damaged.
    pub fn raters(&self) -> Result<Vec<Rater>> {
        let mut raters = self.run(|c| {
            let mut found =
                c.prepare("SELECT id, rater, finished IS NOT NULL FROM sessions ORDER BY id")?;
            let rows = found.query_map([], |row| {
                Ok(Rater {
                    session: row.get(0)?,
                    name: row.get(1)?,
                    finished: row.get(2)?,
                    given: Vec::new(),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for rater in &mut raters {
            rater.given = self.run(|c| {
                let mut found = c.prepare(
                    "SELECT data_set, picture, slots, trap, position FROM questions
                     WHERE session = ?1 AND answered IS NOT NULL ORDER BY position",
                )?;
                let mut marks =
                    c.prepare("SELECT treatment, mark FROM marks WHERE session = ?1 AND position = ?2 ORDER BY slot")?;
                let rows = found.query_map([rater.session], |row| {
                    let position: i64 = row.get(4)?;
                    Ok((question(row)?, position))
                })?;
                rows.map(|row| {
                    let (question, position) = row?;
                    let marks = marks.query_map(params![rater.session, position], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })?;
                    Ok(Given {
                        question,
                        marks: marks.collect::<rusqlite::Result<_>>()?,
                    })
                })
                .collect()
            })?;
        }
        Ok(raters)
    }
}

fn failed(path: &Path, error: &impl ToString) -> Failure {
    let error = error.to_string();
    Failure::Failed(format!("the database {}: {error}", path.display()))
}

fn question(row: &rusqlite::Row<'_>) -> rusqlite::Result<Question> {
    let slots: String = row.get(2)?;
    let slots = serde_json::from_str(&slots).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Question {
        set: row.get(0)?,
        picture: row.get(1)?,
        slots,
        trap: row.get(3)?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::sets::Item;
    use super::*;
    use std::collections::BTreeMap;

    fn sets(treatments: &[&str]) -> Vec<Set> {
        let item = |name: &str| Item {
            name: name.into(),
            files: BTreeMap::new(),
        };
        vec![Set {
            name: "s".into(),
            treatments: treatments.iter().map(|name| (*name).into()).collect(),
            pictures: vec![item("p"), item("q")],
        }]
    }

    #[test]
    fn a_session_goes_on_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.sqlite");
        let mut store = Store::open(&path, &sets(&["a", "b"])).unwrap();
        let token = store.begin("Ada", 1).unwrap();
        assert_eq!(token.len(), 32);
        assert_ne!(token, store.begin("", 1).unwrap());
        let place = store.place(&token).unwrap().unwrap();
        assert_eq!((place.count, place.next.as_ref().unwrap().0), (3, 0));
        store.seen(place.session, 0).unwrap();
        store.refused(place.session, 0).unwrap();
        store.answer(place.session, 0, &[2, 4], 1500).unwrap();
        drop(store);

        let mut store = Store::open(&path, &sets(&["a", "b"])).unwrap();
        let place = store.place(&token).unwrap().unwrap();
        assert_eq!(place.next.as_ref().unwrap().0, 1);
        store.answer(place.session, 0, &[1, 5], 10).unwrap();
        for position in 1..3 {
            assert!(!store.raters().unwrap()[0].finished);
            store.answer(place.session, position, &[2, 4], 10).unwrap();
        }
        assert_eq!(store.place(&token).unwrap().unwrap().next, None);
        assert_eq!(store.place("nobody").unwrap(), None);
        let raters = store.raters().unwrap();
        assert_eq!(
            (
                raters[0].name.as_str(),
                raters[0].finished,
                raters[0].given.len()
            ),
            ("Ada", true, 3)
        );
        let marks: Vec<_> = raters[0].given[0]
            .marks
            .iter()
            .map(|(_, mark)| *mark)
            .collect();
        assert_eq!(marks, [1, 5]);
        assert_eq!((raters[1].finished, raters[1].given.len()), (false, 0));
    }

    #[test]
    fn another_study_and_another_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.sqlite");
        Store::open(&path, &sets(&["a"])).unwrap();
        let text = |result: Result<Store>| match result {
            Err(Failure::Failed(text)) => text,
            _ => panic!("no failure"),
        };
        assert!(text(Store::open(&path, &sets(&["b"]))).contains("--database"));
        let other = folder.path().join("notes.txt");
        std::fs::write(&other, "these are notes, and long enough for a header").unwrap();
        assert!(text(Store::read(&other)).contains("notes.txt"));
        assert!(text(Store::read(&folder.path().join("none"))).contains("no file"));
    }
}
