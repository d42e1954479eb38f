package main

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"strconv"
)

// cgroupMemory is where a container finds its limit of memory: control groups of version 2
// and 1.
var cgroupMemory = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// limitMemory tells the garbage collector of the container's limit, so that it works harder
// before the kernel ends the process. It is in the first of the files that is there.
// GOMEMLIMIT, if it is set, is left alone. It returns the limit in bytes, 0 for none.
func limitMemory(files []string) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	var content []byte
	for _, file := range files {
		var err error
		if content, err = os.ReadFile(file); err == nil {
			break
		}
	}
	limit, err := strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64)
	if err != nil || limit <= 0 || limit > math.MaxInt64/10 { // "max"
		return 0
	}
	limit = limit / 10 * 9 // the rest is what Go does not count
	debug.SetMemoryLimit(limit)
	return limit
}
