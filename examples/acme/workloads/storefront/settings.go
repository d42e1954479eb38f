package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// settings are in the file that the Score file mounts.
type settings struct {
	Workload    string `json:"workload"`
	Currency    string `json:"currency"`
	PriceFormat string `json:"priceFormat"`
}

func readSettings(file string) (settings, error) {
	var s settings
	data, err := os.ReadFile(file)
	if err != nil {
		return s, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	if !strings.Contains(s.PriceFormat, "${amount}") {
		return s, fmt.Errorf("%s: priceFormat must contain ${amount}, and is %q", file, s.PriceFormat)
	}
	return s, nil
}

// price formats an amount in the smallest unit of its currency.
func (s settings) price(amount int64, currency string) string {
	text := fmt.Sprintf("%d.%02d", amount/100, amount%100)
	if currency != s.Currency {
		return text + " " + currency
	}
	return strings.ReplaceAll(s.PriceFormat, "${amount}", text)
}
