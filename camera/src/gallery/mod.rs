//! wip
use crate::config::Gallery as Config;
use crate::engine::Pair;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
#[derive(Debug)]
pub struct Gallery {
    sender: SyncSender<(String, Arc<Pair>)>,
}
impl Gallery {
    pub fn open(_: &Config) -> Result<Self, String> {
        Err("wip".into())
    }
    pub fn sender(&self) -> SyncSender<(String, Arc<Pair>)> {
        self.sender.clone()
    }
}
