package scaling

import "time"

// window is how far back a rate looks. It is short enough for an autoscaler to see a new
// load within half a minute, and long enough to hold several samples.
const window = 30 * time.Second

// sample is what a counter said at a moment.
type sample struct {
	at    time.Time
	value float64
}

// counter is the recent past of a number that only grows, until its program starts anew.
type counter struct{ samples []sample }

// add takes another sample and forgets those that are too old to matter.
func (c *counter) add(at time.Time, value float64) {
	if n := len(c.samples); n > 0 && value < c.samples[n-1].value {
		c.samples = c.samples[:0]
	}
	c.samples = append(c.samples, sample{at, value})
	// The oldest that is kept is the youngest that is not younger than the window.
	first := 0
	for first+1 < len(c.samples) && !c.samples[first+1].at.After(at.Add(-window)) {
		first++
	}
	c.samples = c.samples[first:]
}

// rate is how fast it grows, per second. It is not known before there are two samples,
// nor when the last one is old.
func (c *counter) rate(now time.Time) (float64, bool) {
	n := len(c.samples)
	if n < 2 || now.Sub(c.samples[n-1].at) > window {
		return 0, false
	}
	first, last := c.samples[0], c.samples[n-1]
	return (last.value - first.value) / last.at.Sub(first.at).Seconds(), true
}
