package main

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"strconv"
)

// cgroupMemory is where a container finds its limit of memory (cgroups v2).
const cgroupMemory = "/sys/fs/cgroup/memory.max"

// limitMemory tells the garbage collector of the container's limit, so that it works harder
// before the kernel ends the process. GOMEMLIMIT, if it is set, is left alone. It returns
// the limit in bytes, 0 for none.
func limitMemory(file string) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64)
	if err != nil || limit <= 0 || limit > math.MaxInt64/10 { // "max"
		return 0
	}
	limit = limit / 10 * 9 // the rest is what Go does not count
	debug.SetMemoryLimit(limit)
	return limit
}
