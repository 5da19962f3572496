package compression

import "github.com/klauspost/compress/s2"

// unsnappy takes the block format. A block states its size in front, and decoding writes exactly that many bytes.
func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return dst, err
	}
	if n > limit {
		return dst, ErrTooLarge
	}
	return s2.Decode(dst[:cap(dst)], src)
}

func snappyBytes(dst, src []byte) []byte {
	return s2.EncodeSnappy(dst[:cap(dst)], src)
}
