package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/acme/internal/httpx"
	"example.com/acme/internal/shop"
)

// cache is Redis. It is asked briefly, and left alone for a moment after a failure: a cache
// that is down must not make the shop slow.
type cache struct {
	log    *slog.Logger
	client *redis.Client
	// timeout is how long a command may take.
	timeout time.Duration
	// until is when it may be asked again, in Unix nanoseconds.
	until atomic.Int64
}

const (
	cacheTimeout = 250 * time.Millisecond
	cachePause   = 3 * time.Second
)

var errCacheRests = errors.New("the cache has just failed")

func newCache(log *slog.Logger, addr, user, password string, timeout time.Duration) *cache {
	host, _, _ := net.SplitHostPort(addr) // dialling says what is wrong with it
	return &cache{log: log, timeout: timeout, client: redis.NewClient(&redis.Options{
		Addr: addr, Username: user, Password: password, ClientName: "storefront",
		TLSConfig:   &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12},
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
		MaxRetries: -1, DialerRetries: 1, PoolSize: 8,
	})}
}

func (c *cache) close() { _ = c.client.Close() }

func (c *cache) check(ctx context.Context) error { return c.client.Ping(ctx).Err() }

// try runs a command, unless the cache rests.
func (c *cache) try(ctx context.Context, command func(context.Context) error) error {
	if time.Now().UnixNano() < c.until.Load() {
		return errCacheRests
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := command(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		c.until.Store(time.Now().Add(cachePause).UnixNano())
		c.log.WarnContext(ctx, "the cache failed", "error", err.Error())
	}
	return err
}

// cachedCatalog keeps the list of products in the cache. It is short, and all pages are
// made of it. When the catalog is down, an old list is better than none.
type cachedCatalog struct {
	log     *slog.Logger
	catalog shop.Catalog
	cache   *cache
}

const (
	listKey = "storefront:products:1"
	fresh   = 15 * time.Second
	keep    = 24 * time.Hour
)

type entry struct {
	At       time.Time      `json:"at"`
	Products []shop.Product `json:"products"`
}

// products returns all products.
func (c *cachedCatalog) products(ctx context.Context) ([]shop.Product, error) {
	var had entry
	_ = c.cache.try(ctx, func(ctx context.Context) error {
		data, err := c.cache.client.Get(ctx, listKey).Bytes()
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &had)
	})
	if time.Since(had.At) < fresh {
		return had.Products, nil
	}
	found, err := c.catalog.Products(ctx, "")
	if err != nil {
		if len(had.Products) > 0 {
			c.log.WarnContext(ctx, "the catalog failed, an older list serves", "error", err.Error(), "from", had.At)
			return had.Products, nil
		}
		return nil, err
	}
	_ = c.cache.try(ctx, func(ctx context.Context) error {
		data, err := json.Marshal(entry{time.Now(), found})
		if err != nil {
			return err
		}
		return c.cache.client.Set(ctx, listKey, data, keep).Err()
	})
	return found, nil
}

// product returns one; an unknown one is an httpx.Error with status 404.
func (c *cachedCatalog) product(ctx context.Context, id string) (shop.Product, error) {
	all, err := c.products(ctx)
	if err != nil {
		return shop.Product{}, err
	}
	i := slices.IndexFunc(all, func(p shop.Product) bool { return p.ID == id })
	if i < 0 {
		return shop.Product{}, &httpx.Error{Code: 404, Message: "there is no such product"}
	}
	return all[i], nil
}

// search asks the catalog. When that is down, what is in the list by name will do.
func (c *cachedCatalog) search(ctx context.Context, text string) ([]shop.Product, error) {
	found, err := c.catalog.Products(ctx, text)
	if err == nil || httpx.IsCode(err, 400) {
		return found, err
	}
	all, listErr := c.products(ctx)
	if listErr != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(p shop.Product) bool {
		return !strings.Contains(strings.ToLower(p.Name), strings.ToLower(text))
	}), nil
}
