package attack

// Summary counts outcomes. The zero value has none.
type Summary struct {
	Rows      int
	Clean     int            // rows that are right without an attack
	Robust    int            // rows that are right under attack
	By        map[string]int // rows by the member of the attack that fooled the network
	Gradients int
	Zero      int // gradients of zeros
	Forwards  int
}

// Add counts an outcome.
func (s *Summary) Add(o Outcome) {
	s.Rows++
	if o.Clean {
		s.Clean++
	}
	if o.Robust {
		s.Robust++
	}
	if o.By != "" {
		if s.By == nil {
			s.By = map[string]int{}
		}
		s.By[o.By]++
	}
	s.Gradients += o.Gradients
	s.Zero += o.Zero
	s.Forwards += o.Forwards
}

// CleanAccuracy is the share of rows that are right without an attack.
func (s *Summary) CleanAccuracy() float64 { return float64(s.Clean) / float64(max(s.Rows, 1)) }

// RobustAccuracy is the share of rows that are right under attack.
func (s *Summary) RobustAccuracy() float64 { return float64(s.Robust) / float64(max(s.Rows, 1)) }
