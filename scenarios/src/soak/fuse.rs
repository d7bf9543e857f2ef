//! The device in the kernel's words: a directory with one file.
//!
//! Nothing is cached on the way here: reads, writes and flushes come as the block layer sends them, one after the other.

use crate::soak::device::{SECTOR_BYTES, Write};
use crate::soak::powered::{Device, Request, lock};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// The name of the file.
pub const DEVICE: &str = "device";

const DEVICE_INODE: INodeNo = INodeNo(2);

/// How long the kernel may believe what it was told: nothing ever changes but the bytes.
const ATTRIBUTES_TTL: Duration = Duration::from_secs(60);

/// A device that is served.
pub struct Served(pub Arc<Mutex<Device>>);

impl Filesystem for Served {
    fn lookup(&self, _request: &fuser::Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let is_device = parent == INodeNo::ROOT && name == DEVICE;
        match self.attributes(DEVICE_INODE).filter(|_| is_device) {
            Some(attributes) => reply.entry(&ATTRIBUTES_TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _request: &fuser::Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&ATTRIBUTES_TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _request: &fuser::Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        lock(&self.0).opened();
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn release(
        &self,
        _request: &fuser::Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.0).closed();
        reply.ok();
    }

    fn read(
        &self,
        _request: &fuser::Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match lock(&self.0).read(offset, size.into()) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _request: &fuser::Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        bytes: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = Write { offset, bytes: bytes.to_vec() };
        let length = write.length();
        let answer = move |done: io::Result<()>| match done {
            Ok(()) => reply.written(length),
            Err(error) => reply.error(error.into()),
        };
        lock(&self.0).ask(Request::Write(write), Box::new(answer));
    }

    fn fsync(
        &self,
        _request: &fuser::Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let answer = move |done: io::Result<()>| match done {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error.into()),
        };
        lock(&self.0).ask(Request::Flush, Box::new(answer));
    }
}

impl Served {
    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match inode {
            INodeNo::ROOT => (FileType::Directory, 0o700, 0),
            DEVICE_INODE => (FileType::RegularFile, 0o600, lock(&self.0).bytes()),
            _ => return None,
        };
        let [atime, mtime, ctime, crtime] = [UNIX_EPOCH; 4];
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size / SECTOR_BYTES,
            atime,
            mtime,
            ctime,
            crtime,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}
