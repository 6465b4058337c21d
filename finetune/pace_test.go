package finetune

import (
	"testing"
	"time"
)

// Work that takes long is not done again until ten times as long has passed.
func TestPace(t *testing.T) {
	var p pace
	if !p.due() {
		t.Error("not due before it was ever done")
	}
	if err := p.do(func() error { time.Sleep(30 * time.Millisecond); return nil }); err != nil {
		t.Fatal(err)
	}
	if p.due() {
		t.Errorf("due at once after work of %v", p.took)
	}
	p.done = p.done.Add(-paceShare * p.took)
	if !p.due() {
		t.Errorf("not due %v after work of %v", time.Since(p.done), p.took)
	}
}
