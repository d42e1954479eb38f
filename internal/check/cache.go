package check

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// CacheFile returns where this Strata keeps a cache about the repository in
// dir: in the user's own cache folder, never in the repository, so that nobody
// can commit one and have it believed. Another build of Strata has another
// file, because it may decode or render the same input otherwise. It is "" where
// the user has no cache folder.
func CacheFile(dir, name string) string {
	folder := cacheFolder(dir)
	if folder == "" {
		return ""
	}
	return filepath.Join(folder, program()+"-"+name)
}

func cacheFolder(dir string) string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(base, "strata", filepath.Base(abs)+"-"+hex.EncodeToString(sum[:6]))
}

// program identifies the running executable by what stat says of it: a new
// build has another time or size.
var program = sync.OnceValue(func() string {
	file, err := os.Executable()
	if err != nil {
		return "unknown"
	}
	info, err := os.Stat(file)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", file, info.Size(), info.ModTime().UnixNano()))
	return hex.EncodeToString(sum[:6])
})

// dropOtherCaches removes what other builds of Strata left about the repository
// in dir. Caches only save work, so nothing that goes wrong here matters.
func dropOtherCaches(dir string) {
	folder := cacheFolder(dir)
	list, err := os.ReadDir(folder)
	if folder == "" || err != nil {
		return
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), program()+"-") {
			_ = os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}
