package tail

import (
	"io/fs"
	"syscall"
	"time"
)

// linkCount returns how many names a file has: 0 means deleted, and only our descriptor keeps it.
func linkCount(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Nlink) }

// changeTime returns when a file was last written, renamed or deleted.
func changeTime(info fs.FileInfo) time.Time {
	return time.Unix(info.Sys().(*syscall.Stat_t).Ctimespec.Unix())
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }
