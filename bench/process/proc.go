package process

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// hertz is the unit of times in /proc/PID/stat: USER_HZ, 100 on every platform that Go runs Linux on.
const hertz = 100

// cpu reads utime, stime, cutime and cstime (fields 14 to 17 of proc_pid_stat(5)) out of /proc/PID/stat.
func cpu(stat string) (time.Duration, error) {
	const first, last = 14, 17
	// The name in parentheses may hold spaces and parentheses; what follows its end is field 3.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < last-2 {
		return 0, errors.New("cannot read CPU time: /proc/PID/stat is short")
	}
	var ticks int64
	for _, field := range fields[first-3 : last-2] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, errors.New("cannot read CPU time out of /proc/PID/stat: " + field)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / hertz, nil
}

// memory reads RssAnon and VmHWM out of /proc/PID/status, in bytes; 0 for a process without memory.
func memory(status string) (anon, highest int64) {
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch key {
		case "RssAnon":
			anon = kib << 10
		case "VmHWM":
			highest = kib << 10
		}
	}
	return anon, highest
}
