//! The customers of the demo.

/// A customer with a hostname of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenant {
    /// The hostname, as an A-label.
    pub hostname: &'static str,
    /// What the customer calls itself.
    pub title: &'static str,
    /// What its page says.
    pub greeting: &'static str,
    /// The colour of its page.
    pub colour: &'static str,
}

/// The customers that it has from the start.
pub const TENANTS: [Tenant; 5] = [
    Tenant {
        hostname: "shop.customer.test",
        title: "Otter & Oak",
        greeting: "Furniture that floats.",
        colour: "#7a4b2a",
    },
    Tenant {
        hostname: "blog.customer.test",
        title: "Salt and Paper",
        greeting: "Letters from a small harbour.",
        colour: "#20506e",
    },
    Tenant {
        hostname: "docs.customer.test",
        title: "Lantern Docs",
        greeting: "Everything, explained once.",
        colour: "#4c3a78",
    },
    Tenant {
        hostname: "www.bakery.test",
        title: "The Third Loaf",
        greeting: "Open from five in the morning.",
        colour: "#8a5a00",
    },
    Tenant {
        // bücher.test: customers have names in every script, machines see A-labels.
        hostname: "xn--bcher-kva.test",
        title: "Bücher Bücher",
        greeting: "Ein Regal mehr.",
        colour: "#2f5d3a",
    },
];

pub(crate) fn find(hostname: &str) -> Option<&'static Tenant> {
    TENANTS.iter().find(|tenant| tenant.hostname == hostname)
}
