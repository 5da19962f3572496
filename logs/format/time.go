package format

// ParseTime reads an RFC 3339 time stamp with any number of fraction digits (past nine they are ignored, as time.Parse
// does) and Z or a numeric offset, and returns nanoseconds since 1970. Years outside 1678–2261 do not fit and are
// refused. It exists because time.Parse costs as much as all the rest of a line.
func ParseTime(b []byte) (unixNano int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	y1, y2 := two(b, 0), two(b, 2)
	month, day, hour, minute, second := two(b, 5), two(b, 8), two(b, 11), two(b, 14), two(b, 17)
	if y1|y2|month|day|hour|minute|second < 0 {
		return 0, false
	}
	year := y1*100 + y2
	if year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	rest := b[19:]
	nanos, n := fraction(rest)
	if n < 0 {
		return 0, false
	}
	offset, ok := zone(rest[n:])
	if !ok {
		return 0, false
	}
	seconds := daysSinceEpoch(year, month, day)*86400 + int64(hour*3600+minute*60+second) - int64(offset)
	return seconds*1e9 + nanos, true
}

// two reads two digits at b[i:], or returns a negative number.
func two(b []byte, i int) int {
	hi, lo := b[i]-'0', b[i+1]-'0'
	if hi > 9 || lo > 9 {
		return -1
	}
	return int(hi)*10 + int(lo)
}

// fraction reads an optional ".digits" and returns nanoseconds and the bytes read, -1 if there is a dot without digits.
func fraction(b []byte) (nanos int64, n int) {
	if len(b) == 0 || b[0] != '.' {
		return 0, 0
	}
	scale := int64(1e8)
	n = 1
	for n < len(b) && b[n]-'0' <= 9 {
		nanos += int64(b[n]-'0') * scale
		scale /= 10
		n++
	}
	if n == 1 {
		return 0, -1
	}
	return nanos, n
}

// zone reads Z or ±hh:mm and returns seconds east of UTC. It must be all of b.
func zone(b []byte) (seconds int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != len("+00:00") || b[3] != ':' || (b[0] != '+' && b[0] != '-') {
		return 0, false
	}
	h, m := two(b, 1), two(b, 4)
	if h|m < 0 || h > 23 || m > 59 {
		return 0, false
	}
	seconds = h*3600 + m*60
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts the days from 1970-01-01 in the Gregorian calendar, with years that begin in March so that the
// leap day is a year's last.
func daysSinceEpoch(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	leaps := year/4 - year/100 + year/400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return int64(year)*365 + int64(leaps) + int64(dayOfYear) - 719468
}
