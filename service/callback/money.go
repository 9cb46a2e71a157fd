package callback

import (
	"strconv"
	"strings"
)

// Money is an amount in the currency's minor unit (CNY: 分, cents).
type Money struct {
	Minor    int64
	Currency string // ISO 4217; empty when there is no amount
}

// String writes the amount for people, such as "CNY 12.34" or "JPY 1234".
func (m Money) String() string {
	decimals, odd := oddDecimals[m.Currency]
	if !odd {
		decimals = 2
	}
	return m.text(decimals)
}

// oddDecimals is how many decimals the minor unit stands for where it is not two.
//
// Source: ISO 4217, list one,
// https://www.six-group.com/en/products-services/financial-information/data-standards.html
var oddDecimals = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0,
	"PYG": 0, "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// text writes the amount with so many decimals.
func (m Money) text(decimals int) string {
	if m.Currency == "" {
		return "-"
	}
	sign, digits := "", strconv.FormatInt(m.Minor, 10)
	if m.Minor < 0 {
		sign, digits = "-", digits[1:]
	}
	if decimals > 0 {
		digits = strings.Repeat("0", max(0, decimals+1-len(digits))) + digits
		digits = digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
	}
	return m.Currency + " " + sign + digits
}
