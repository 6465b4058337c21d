package cli

import "testing"

// TestSpeedText says how fast a job is, also one that is slower than one per second.
func TestSpeedText(t *testing.T) {
	for perSecond, want := range map[float64]string{0: "0 images/s", 1234.4: "1234 images/s", 9.96: "10 images/s", 9.94: "9.9 images/s", 1: "1.0 images/s", 0.4: "2.5 s for each of the images"} {
		if got := speedText(perSecond, "images"); got != want {
			t.Errorf("%v per second: %q, want %q", perSecond, got, want)
		}
	}
}

// TestScoreBelow wants a score of which the score itself is above in float32.
func TestScoreBelow(t *testing.T) {
	for _, score := range []float32{0, 0.05, 0.25, 1} {
		if below := float32(scoreBelow(score)); !(score > below) || score-below > 1e-6 {
			t.Errorf("%v is below %v", below, score)
		}
	}
}
