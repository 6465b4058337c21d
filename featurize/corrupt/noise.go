package corrupt

// gaussianNoise adds normal noise; the constants are its standard deviations.
func gaussianNoise(k *work) {
	c := pick(k, [5]float64{.08, .12, .18, .26, .38}, [5]float64{.04, .06, .08, .09, .10})
	for i, v := range k.pix {
		k.pix[i] = cut(units[v] + float64(c*k.normal()))
	}
}

// shotNoise counts photons; the constants are the mean counts of white.
func shotNoise(k *work) {
	c := pick(k, [5]float64{60, 25, 12, 5, 3}, [5]float64{500, 250, 100, 75, 50})
	var draws [256]func() float64
	for i, v := range k.pix {
		if draws[v] == nil {
			draws[v] = k.poisson(units[v] * c)
		}
		k.pix[i] = cut(draws[v]() / c)
	}
}

// impulseNoise makes bytes, each by itself, white or black; the constants are the share
// of those that it takes.
func impulseNoise(k *work) {
	c := pick(k, [5]float64{.03, .06, .09, .17, .27}, [5]float64{.01, .02, .03, .05, .07})
	hit := make([]bool, len(k.pix))
	for i := range hit {
		hit[i] = k.uniform() <= c
	}
	for i := range k.pix {
		switch white := k.uniform() <= 0.5; {
		case hit[i] && white:
			k.pix[i] = 255
		case hit[i]:
			k.pix[i] = 0
		}
	}
}
