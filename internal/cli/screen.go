package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// redrawEvery is how often what is watched is looked at again.
const redrawEvery = time.Second

// screen shows a page and what becomes of it until ctx ends, which is no error. draw
// returns the page, and a text that changes when there is something new: where there is
// no terminal to redraw, the page is written again then, after an empty line.
func (a *app) screen(ctx context.Context, draw func(context.Context) (page, version string, err error)) error {
	f, live := a.stdout.(*os.File)
	live = live && isTerminal(f)
	if live {
		// A page of its own, so that the terminal is afterwards what it was before.
		fmt.Fprint(f, "\x1b[?1049h\x1b[?25l")
		defer fmt.Fprint(f, "\x1b[?25h\x1b[?1049l")
	}
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	shown := ""
	for {
		page, version, err := draw(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case live:
			if _, height, err := term.GetSize(int(f.Fd())); err == nil {
				page = crop(page, height)
			}
			// Each line is cleared behind its end, so that nothing flickers.
			fmt.Fprint(f, "\x1b[H"+strings.ReplaceAll(page, "\n", "\x1b[K\r\n")+"\x1b[J")
		case shown == "":
			fmt.Fprint(a.stdout, page)
		case version != shown:
			fmt.Fprint(a.stdout, "\n"+page)
		}
		shown = version
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// crop cuts a page to so many lines and says how many are left out.
func crop(page string, height int) string {
	lines := strings.Split(strings.TrimRight(page, "\n"), "\n")
	if len(lines) <= height || height < 2 {
		return strings.Join(lines, "\n")
	}
	return strings.Join(append(lines[:height-1:height-1], fmt.Sprintf("… and %s, without --watch", plural(len(lines)-height+1, "line"))), "\n")
}
