package cli

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// progress shows how far a job is: a bar on a terminal, a line every ten
// seconds elsewhere, JSON lines on request.
type progress struct {
	env         *env
	mode        string
	begun, last time.Time
	first, done int
	total       int
	started     bool
	sparse      bool   // not every step is a JSON event, since there may be millions
	noun        string // what is counted
	about       string // appended to a line, "" for nothing
	figures     object // appended to an event
}

func newProgress(e *env) *progress {
	p := &progress{env: e, mode: e.progress, noun: "images"}
	if p.mode == "auto" {
		p.mode = "lines"
		if isTerminal(e) {
			p.mode = "bar"
		}
	}
	return p
}

func isTerminal(e *env) bool {
	f, ok := e.stderr.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// update shows that so many of all are done.
func (p *progress) update(done, total int) {
	now := time.Now()
	if !p.started {
		p.started, p.begun, p.last, p.first = true, now, now, done
		p.done, p.total = done, total
		p.event("start")
		return
	}
	p.done, p.total = done, total
	switch {
	case p.mode == "jsonl" && (!p.sparse || now.Sub(p.last) > 100*time.Millisecond || done == total):
		p.last = now
		p.event("step")
	case p.mode == "bar" && now.Sub(p.last) > 100*time.Millisecond, p.mode == "lines" && now.Sub(p.last) > 10*time.Second:
		p.last = now
		p.draw()
	}
}

// concurrent is update for several goroutines, which count single images.
func (p *progress) concurrent() func(done, total int) {
	p.sparse = true
	var lock sync.Mutex
	return func(done, total int) {
		lock.Lock()
		defer lock.Unlock()
		p.update(max(done, p.done), total)
	}
}

// end completes what is shown.
func (p *progress) end() {
	if !p.started {
		return
	}
	if p.mode == "bar" {
		p.draw()
		fmt.Fprintln(p.env.stderr)
	}
	p.event("end")
}

// rate is how many are done per second, and how many seconds are left.
func (p *progress) rate() (perSecond, left float64) {
	if s := time.Since(p.begun).Seconds(); s > 0 && p.done > p.first {
		perSecond = float64(p.done-p.first) / s
		left = float64(max(0, p.total-p.done)) / perSecond
	}
	return perSecond, left
}

// speedText is a speed as people read it: that of less than one per second is the time
// that each takes.
func speedText(perSecond float64, noun string) string {
	switch {
	case perSecond >= 9.95 || perSecond <= 0:
		return fmt.Sprintf("%.0f %s/s", perSecond, noun)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f %s/s", perSecond, noun)
	}
	return fmt.Sprintf("%.1f s for each of the %s", 1/perSecond, noun)
}

func (p *progress) draw() {
	perSecond, left := p.rate()
	line := fmt.Sprintf("%d/%d %s, %s, %s left", p.done, p.total, p.noun, speedText(perSecond, p.noun), time.Duration(left*float64(time.Second)).Round(time.Second))
	if p.total == 0 { // a stream has not told yet
		line = fmt.Sprintf("%d %s, %s", p.done, p.noun, speedText(perSecond, p.noun))
	}
	if p.about != "" {
		line += "; " + p.about
	}
	if p.mode != "bar" {
		fmt.Fprintln(p.env.stderr, line)
		return
	}
	if p.total == 0 {
		fmt.Fprintf(p.env.stderr, "\r%s\x1b[K", line)
		return
	}
	const width = 30
	full := width * p.done / max(1, p.total)
	fmt.Fprintf(p.env.stderr, "\r[%s%s] %s\x1b[K", strings.Repeat("=", full), strings.Repeat(" ", width-full), line)
}

func (p *progress) event(name string) {
	if p.mode != "jsonl" {
		return
	}
	perSecond, left := p.rate()
	o := object{{"schema", "rtx.progress/1"}, {"event", name}, {"done", p.done}, {"total", p.total}, {p.noun + "_per_second", perSecond}, {"seconds_left", left}}
	o = append(o, p.figures...)
	if line, err := o.MarshalJSON(); err == nil {
		fmt.Fprintf(p.env.stderr, "%s\n", line)
	}
}
