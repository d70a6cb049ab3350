//! The plugin's settings (`PLUGIN LOAD ... CONFIG name value`).
//!
//! | name | what it says | default |
//! |---|---|---|
//! | `prefix` | of the streams | `stream` |
//! | `parts` | streams per entity; a document's events are in one of them | 1 |
//! | `log-success`, `log-fail`, `log-retry` | streams that tell what became of calls | none |
//! | `backlog-max` | events of a stream that may wait; 0 for any number | 0 |
//! | `when-full` | `stop-writes` refuses writers then, `block` lets them wait | `stop-writes` |
//! | `entities` | whose documents' expiry is a delete event, separated by blanks | none |
//! | `capture` | `prefix=entity` ...: keys that are documents whoever changes them | none |

use reef_sdk::Host;

/// What writers are told when too many events wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Refuse,
    Wait,
}

/// A key prefix that is followed, and of which entity its documents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) prefix: String,
    pub(crate) entity: String,
}

/// Streams that tell what became of calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs {
    pub(crate) success: Option<String>,
    pub(crate) fail: Option<String>,
    pub(crate) retry: Option<String>,
}

/// All settings, as text was understood.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    pub(crate) parts: u64,
    pub(crate) logs: Logs,
    pub(crate) backlog_max: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) entities: Vec<String>,
    pub(crate) captured: Vec<Captured>,
}

impl Settings {
    /// Those of this plugin. They do not change while an instance lives, so it reads them once.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn of(host: &mut dyn Host) -> std::rc::Rc<Self> {
        use std::cell::OnceCell;
        use std::rc::Rc;
        thread_local! {
            static SETTINGS: OnceCell<Rc<Settings>> = const { OnceCell::new() };
        }
        SETTINGS.with(|settings| Rc::clone(settings.get_or_init(|| Rc::new(Self::read(host)))))
    }

    /// Those of this server.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn of(host: &mut dyn Host) -> std::rc::Rc<Self> {
        Self::read(host).into()
    }

    fn read(host: &mut dyn Host) -> Self {
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let words = |text: Option<String>| -> Vec<String> {
            text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let captured = words(host.config("capture")).into_iter().filter_map(|pair| {
            let (prefix, entity) = pair.rsplit_once('=')?;
            Some(Captured { prefix: prefix.into(), entity: entity.into() })
        });
        Self {
            captured: captured.collect(),
            entities: words(host.config("entities")),
            prefix: host.config("prefix").unwrap_or_else(|| "stream".into()),
            parts: number(host.config("parts")).unwrap_or(1).max(1),
            logs: Logs {
                success: host.config("log-success"),
                fail: host.config("log-fail"),
                retry: host.config("log-retry"),
            },
            backlog_max: number(host.config("backlog-max")).unwrap_or(0),
            when_full: match host.config("when-full").as_deref() {
                Some("block") => WhenFull::Wait,
                _ => WhenFull::Refuse,
            },
        }
    }

    /// Whether triggers make the events of an entity, so that commands need not.
    pub(crate) fn follows(&self, entity: &[u8]) -> bool {
        self.captured.iter().any(|captured| {
            captured.entity.as_bytes() == entity
                && captured.prefix.as_bytes().strip_suffix(b":") == Some(entity)
        })
    }
}
