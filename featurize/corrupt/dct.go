package corrupt

// The quantisers of ITU-T T.81, tables K.1 and K.2, at quality 50.
var (
	lumaQuantisers = [64]int32{
		16, 11, 10, 16, 24, 40, 51, 61,
		12, 12, 14, 19, 26, 58, 60, 55,
		14, 13, 16, 24, 40, 57, 69, 56,
		14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77,
		24, 35, 55, 64, 81, 104, 113, 92,
		49, 64, 78, 87, 103, 121, 120, 101,
		72, 92, 95, 98, 112, 100, 103, 99,
	}
	chromaQuantisers = [64]int32{
		17, 18, 24, 47, 99, 99, 99, 99,
		18, 21, 26, 66, 99, 99, 99, 99,
		24, 26, 56, 99, 99, 99, 99, 99,
		47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
	}
)

// quantisers are those of a quality of 1 to 100.
func quantisers(table [64]int32, quality int) [64]int32 {
	percent := int32(200 - 2*quality)
	if quality < 50 {
		percent = int32(5000 / quality)
	}
	for i, v := range table {
		table[i] = min(max((v*percent+50)/100, 1), 255)
	}
	return table
}

// The transforms are those of Loeffler, Ligtenberg and Moschytz (1989) in fixed point,
// with the precision and the roundings of libjpeg's accurate integer method: constants
// have 13 bits after the point, and columns keep 2 more bits than samples have.
const (
	fractionBits = 13
	extraBits    = 2

	c0298 = 2446  // 0.298631336
	c0390 = 3196  // 0.390180644
	c0541 = 4433  // 0.541196100
	c0765 = 6270  // 0.765366865
	c0899 = 7373  // 0.899976223
	c1175 = 9633  // 1.175875602
	c1501 = 12299 // 1.501321110
	c1847 = 15137 // 1.847759065
	c1961 = 16069 // 1.961570560
	c2053 = 16819 // 2.053119869
	c2562 = 20995 // 2.562915447
	c3072 = 25172 // 3.072711026
)

// rounded divides by 2 to the bits, rounding halves up.
func rounded(v int32, bits int) int32 { return (v + 1<<(bits-1)) >> bits }

// forward is the DCT of a block, times 8.
func forward(b *[64]int32) {
	for i := range 8 {
		forward8(b, 8*i, 1, true)
	}
	for i := range 8 {
		forward8(b, i, 8, false)
	}
}

// forward8 transforms eight values from first on: a row, which comes first, or a column.
func forward8(b *[64]int32, first, step int, row bool) {
	at := func(i int) *int32 { return &b[first+i*step] }
	s0, d0 := *at(0)+*at(7), *at(0)-*at(7)
	s1, d1 := *at(1)+*at(6), *at(1)-*at(6)
	s2, d2 := *at(2)+*at(5), *at(2)-*at(5)
	s3, d3 := *at(3)+*at(4), *at(3)-*at(4)
	bits := fractionBits + extraBits
	e0, e3, e1, e2 := s0+s3, s0-s3, s1+s2, s1-s2
	if row {
		bits = fractionBits - extraBits
		*at(0), *at(4) = (e0+e1)<<extraBits, (e0-e1)<<extraBits
	} else {
		*at(0), *at(4) = rounded(e0+e1, extraBits), rounded(e0-e1, extraBits)
	}
	z := (e2 + e3) * c0541
	*at(2), *at(6) = rounded(z+e3*c0765, bits), rounded(z-e2*c1847, bits)

	z5 := (d3 + d1 + d2 + d0) * c1175
	z1, z2 := -(d3+d0)*c0899, -(d2+d1)*c2562
	z3, z4 := z5-(d3+d1)*c1961, z5-(d2+d0)*c0390
	*at(7) = rounded(d3*c0298+z1+z3, bits)
	*at(5) = rounded(d2*c2053+z2+z4, bits)
	*at(3) = rounded(d1*c3072+z2+z3, bits)
	*at(1) = rounded(d0*c1501+z1+z4, bits)
}

// backward is the inverse of the DCT.
func backward(b *[64]int32) {
	for i := range 8 {
		backward8(b, i, 8, fractionBits-extraBits)
	}
	for i := range 8 {
		backward8(b, 8*i, 1, fractionBits+extraBits+3)
	}
}

// backward8 transforms eight values from first on: a column, which comes first, or a row.
func backward8(b *[64]int32, first, step, bits int) {
	at := func(i int) *int32 { return &b[first+i*step] }
	z := (*at(2) + *at(6)) * c0541
	e2, e3 := z-*at(6)*c1847, z+*at(2)*c0765
	e0, e1 := (*at(0)+*at(4))<<fractionBits, (*at(0)-*at(4))<<fractionBits
	s0, s3, s1, s2 := e0+e3, e0-e3, e1+e2, e1-e2

	o0, o1, o2, o3 := *at(7), *at(5), *at(3), *at(1)
	z5 := (o0 + o2 + o1 + o3) * c1175
	z1, z2 := -(o0+o3)*c0899, -(o1+o2)*c2562
	z3, z4 := z5-(o0+o2)*c1961, z5-(o1+o3)*c0390
	o0 = o0*c0298 + z1 + z3
	o1 = o1*c2053 + z2 + z4
	o2 = o2*c3072 + z2 + z3
	o3 = o3*c1501 + z1 + z4
	*at(0), *at(7) = rounded(s0+o3, bits), rounded(s0-o3, bits)
	*at(1), *at(6) = rounded(s1+o2, bits), rounded(s1-o2, bits)
	*at(2), *at(5) = rounded(s2+o1, bits), rounded(s2-o1, bits)
	*at(3), *at(4) = rounded(s3+o0, bits), rounded(s3-o0, bits)
}
