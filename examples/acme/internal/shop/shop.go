// Package shop holds the words that the programs exchange: products, orders, and the
// clients of the programs that serve them.
package shop

import (
	"regexp"
	"time"
)

// MaxQuantity bounds a line of an order.
const MaxQuantity = 20

// Product is something that can be bought. Prices are in the smallest unit of their
// currency, since fractions of binary numbers are no money.
type Product struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Category    string `json:"category"`
	Price       int64  `json:"price"`
	Currency    string `json:"currency"`
}

// Status is how far an order has come.
type Status string

// An order passes through these in turn.
const (
	Placed  Status = "placed"
	Paid    Status = "paid"
	Shipped Status = "shipped"
)

// Line is a part of an order. Name and price are those of the moment of the order.
type Line struct {
	Product  string `json:"product"`
	Name     string `json:"name,omitempty"`
	Quantity int    `json:"quantity"`
	Price    int64  `json:"price,omitempty"`
}

// Order is what a customer has bought.
type Order struct {
	ID        string     `json:"id"`
	Status    Status     `json:"status"`
	Lines     []Line     `json:"lines"`
	Total     int64      `json:"total"`
	Currency  string     `json:"currency"`
	Tracking  string     `json:"tracking,omitempty"`
	PlacedAt  time.Time  `json:"placed_at"`
	PaidAt    *time.Time `json:"paid_at,omitempty"`
	ShippedAt *time.Time `json:"shipped_at,omitempty"`
}

// Day is the sum of the orders that were placed on one day (UTC).
type Day struct {
	Date     string `json:"date"`
	Orders   int    `json:"orders"`
	Shipped  int    `json:"shipped"`
	Revenue  int64  `json:"revenue"`
	Currency string `json:"currency"`
}

// Shipment is the message that fulfilment answers an order with.
type Shipment struct {
	Order    string    `json:"order"`
	Tracking string    `json:"tracking"`
	Label    string    `json:"label"`
	At       time.Time `json:"at"`
}

// ShippedQueue is where fulfilment says what was shipped, beside the queue of orders.
func ShippedQueue(orders string) string { return orders + "-shipped" }

var orderID = regexp.MustCompile(`^[A-Z2-7]{16}$`)

// ValidOrderID says whether a text has the form of an order's id: 80 random bits, which
// nobody can guess. Who has it may see the order.
func ValidOrderID(s string) bool { return orderID.MatchString(s) }

var productID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

// ValidProductID says whether a text has the form of a product's id.
func ValidProductID(s string) bool { return productID.MatchString(s) }
