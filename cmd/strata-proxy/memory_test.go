package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for content, want := range map[string]int64{"536870912\n": 536870912 / 10 * 9, "max\n": 0, "": 0, "-1": 0, "99999999999999999999": 0, "9223372036854771712\n": 0, "100 200": 0} {
		file := filepath.Join(t.TempDir(), "memory.max")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		debug.SetMemoryLimit(math.MaxInt64)
		got := limitMemory([]string{"/does/not/exist", file})
		set := debug.SetMemoryLimit(-1)
		if got != want || want == 0 && set != math.MaxInt64 || want != 0 && set != want {
			t.Errorf("%q: got %d, set is %d, want %d", content, got, set, want)
		}
	}
	if limitMemory([]string{"/does/not/exist"}) != 0 {
		t.Error("a limit out of no file")
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	file := filepath.Join(t.TempDir(), "memory.max")
	if err := os.WriteFile(file, []byte("536870912"), 0o600); err != nil {
		t.Fatal(err)
	}
	if limitMemory([]string{file}) != 0 {
		t.Error("GOMEMLIMIT is overruled")
	}
}
