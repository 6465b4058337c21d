package corrupt

import "math"

// brightness adds to the value of HSV.
func brightness(k *work) {
	c := pick(k, [5]float64{.1, .2, .3, .4, .5}, [5]float64{.05, .1, .15, .2, .3})
	for i := 0; i < len(k.pix); i += 3 {
		p := k.pix[i : i+3 : i+3]
		hue, saturation, value := hsv(units[p[0]], units[p[1]], units[p[2]])
		r, g, b := rgb(hue, saturation, min(max(value+c, 0), 1))
		p[0], p[1], p[2] = cut(r), cut(g), cut(b)
	}
}

// hsv are hue, saturation and value, 0 to 1, in scikit-image's order of operations.
func hsv(r, g, b float64) (hue, saturation, value float64) {
	value = max(r, g, b)
	delta := value - min(r, g, b)
	if delta == 0 {
		return 0, 0, value
	}
	switch value {
	case b:
		hue = 4 + (r-g)/delta
	case g:
		hue = 2 + (b-r)/delta
	default:
		hue = (g - b) / delta
	}
	if hue /= 6; hue < 0 {
		hue++
	}
	return hue, delta / value, value
}

// rgb turns hsv back.
func rgb(hue, saturation, value float64) (r, g, b float64) {
	sector := math.Floor(hue * 6)
	f := float64(hue*6) - sector
	p := value * (1 - saturation)
	q := value * (1 - float64(f*saturation))
	t := value * (1 - float64((1-f)*saturation))
	switch int(sector) % 6 {
	case 0:
		return value, t, p
	case 1:
		return q, value, p
	case 2:
		return p, value, t
	case 3:
		return p, q, value
	case 4:
		return t, p, value
	}
	return value, p, q
}

// contrast draws each colour towards its mean; the constants are what is left of the
// distance.
func contrast(k *work) {
	c := pick(k, [5]float64{.4, .3, .2, .1, .05}, [5]float64{.75, .5, .4, .3, .15})
	var sums [3]int
	for i, v := range k.pix {
		sums[i%3] += int(v)
	}
	for colour, sum := range sums {
		mean := float64(sum) / 255 / float64(k.w*k.h)
		var to [256]uint8
		for v := range to {
			to[v] = cut(float64((units[v]-mean)*c) + mean)
		}
		for i := colour; i < len(k.pix); i += 3 {
			k.pix[i] = to[k.pix[i]]
		}
	}
}
