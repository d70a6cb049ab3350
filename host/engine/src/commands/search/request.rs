//! The arguments of a query.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::definition::{counted, expected};
use crate::args::Args;
use crate::error::Error;
use crate::search::parsing::{Parameters, parse_number, unit_m};
use crate::search::query::Circle;
use crate::search::schema::DocumentType;
use crate::search::scoring::Scorer;
use crate::search::{Language, Limit, NumericRange, Options};
use crate::step::Cx;
use crate::types::number;

/// What a query asks for, whatever is done with what it finds.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) query: Vec<u8>,
    pub(super) verbatim: bool,
    pub(super) keeps_stop_words: bool,
    pub(super) in_fields: Option<Vec<Box<[u8]>>>,
    pub(super) in_keys: Option<Vec<Box<[u8]>>>,
    pub(super) ranges: Vec<(Box<[u8]>, NumericRange)>,
    pub(super) circles: Vec<(Box<[u8]>, Circle)>,
    pub(super) slop: Option<u32>,
    pub(super) in_order: bool,
    pub(super) language: Option<Language>,
    pub(super) scorer: Scorer,
    /// What payloads are compared with.
    pub(super) payload: Option<Box<[u8]>>,
    pub(super) parameters: Parameters,
    pub(super) dialect: u8,
    /// Whether JSON values are shown as values of the protocol.
    pub(super) is_expanded: bool,
    /// 0: as long as it takes; only the operator can say so.
    pub(super) timeout_ms: u64,
    timeout_default_ms: u64,
}

/// Most fields of every result that a query can name.
pub(super) const FIELDS_MAX: usize = 1024;
/// For no longer than this does a query run, unless the configuration allows it.
const TIMEOUT_MS_MAX: u64 = 10_000;
/// What is put around or between words of a document can be so long: it may be there very often.
const MARK_BYTES_MAX: usize = 1024;

/// A field, and the name that it is to have.
pub(super) type Renamed = (Box<[u8]>, Box<[u8]>);

/// What a search asks for beyond that.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) no_content: bool,
    pub(super) with_scores: bool,
    pub(super) with_payloads: bool,
    pub(super) with_sort_keys: bool,
    /// Fields with the names they are to have.
    pub(super) fields: Option<Vec<Renamed>>,
    pub(super) sort_by: Option<(Box<[u8]>, bool)>,
    pub(super) offset: usize,
    pub(super) count: usize,
    pub(super) summary: Option<Summary>,
    pub(super) highlight: Option<Highlight>,
}

/// SUMMARIZE.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) fields: Option<Vec<Box<[u8]>>>,
    pub(super) fragments: usize,
    pub(super) words: usize,
    pub(super) separator: Box<[u8]>,
}

/// HIGHLIGHT.
#[derive(Clone, Debug)]
pub(super) struct Highlight {
    pub(super) fields: Option<Vec<Box<[u8]>>>,
    pub(super) open: Box<[u8]>,
    pub(super) close: Box<[u8]>,
}

impl Request {
    /// A query about which nothing else was said.
    pub(super) fn new(query: &[u8], options: &Options) -> Self {
        Self {
            query: query.to_vec(),
            verbatim: false,
            keeps_stop_words: false,
            in_fields: None,
            in_keys: None,
            ranges: Vec::new(),
            circles: Vec::new(),
            slop: None,
            in_order: false,
            language: None,
            scorer: Scorer::default(),
            payload: None,
            parameters: Parameters::new(),
            dialect: options.dialect,
            is_expanded: false,
            timeout_ms: options.timeout_ms,
            timeout_default_ms: options.timeout_ms,
        }
    }

    /// Reads an option of queries, if one is next.
    pub(super) fn option(&mut self, args: &mut Args<'_>) -> Result<bool, Error> {
        const WORDS: [&str; 19] = [
            "VERBATIM",
            "NOSTOPWORDS",
            "INORDER",
            "INFIELDS",
            "INKEYS",
            "FILTER",
            "GEOFILTER",
            "SLOP",
            "TIMEOUT",
            "LANGUAGE",
            "SCORER",
            "EXPANDER",
            "PARAMS",
            "DIALECT",
            "PAYLOAD",
            "EXPLAINSCORE",
            "WITHCOUNT",
            "WITHOUTCOUNT",
            "FORMAT",
        ];
        let Some(option) = args.one_of(&WORDS) else { return Ok(false) };
        match option {
            0 => self.verbatim = true,
            1 => self.keeps_stop_words = true,
            2 => self.in_order = true,
            3 => self.in_fields = Some(listed(args, "INFIELDS")?),
            4 => self.in_keys = Some(listed(args, "INKEYS")?),
            5 => self.ranges.push(range(args)?),
            6 => self.circles.push(circle(args)?),
            7 => {
                let slop = number::parse_i64(expected(args, "SLOP")?);
                let slop = slop.ok_or_else(|| Error::bad_arguments("SLOP"))?;
                self.slop = u32::try_from(slop).ok();
            }
            8 => {
                let timeout = args.bytes().map_err(|_| Error::NO_TIMEOUT)?;
                let timeout = number::parse_i64(timeout);
                let timeout = timeout.and_then(|timeout| u64::try_from(timeout).ok());
                self.timeout_ms = match timeout.ok_or(Error::BAD_TIMEOUT)? {
                    0 => self.timeout_default_ms,
                    timeout => timeout.min(self.timeout_default_ms.max(TIMEOUT_MS_MAX)),
                };
            }
            9 => {
                let language = Language::of_name(expected(args, "LANGUAGE")?);
                self.language = Some(language.ok_or(Error::NO_QUERY_LANGUAGE)?);
            }
            10 => {
                let name = expected(args, "SCORER")?;
                self.scorer = Scorer::of_name(name).ok_or_else(|| Error::no_such_scorer(name))?;
            }
            // All that are known are one; whoever names another gets none.
            11 => {
                const KNOWN: [&[u8]; 4] = [b"DEFAULT", b"SBSTEM", b"SYNONYM", b"PHONETIC"];
                self.verbatim |= !KNOWN.contains(&expected(args, "EXPANDER")?);
            }
            12 => self.parameters(args)?,
            13 => self.dialect = dialect(args)?,
            14 => self.payload = Some(expected(args, "PAYLOAD")?.into()),
            15 => return Err(Error::unknown_word(b"EXPLAINSCORE")),
            // Counting costs next to nothing.
            16 | 17 => {}
            _ => self.is_expanded = expands(args)?,
        }
        Ok(true)
    }

    /// Refuses a form of values that the index or the client cannot have.
    pub(super) fn check_form(&self, cx: &Cx<'_>, name: &[u8]) -> Result<(), Error> {
        if !self.is_expanded {
            return Ok(());
        }
        if !cx.reply.is_resp3() {
            return Err(Error::EXPAND_OF_OLD_PROTOCOL);
        }
        let catalogue = cx.keys.catalogue();
        let schema = catalogue.resolve(name).and_then(|place| catalogue.indexes.get(place));
        match schema.map(|schema| schema.documents) {
            Some(DocumentType::Json) => Err(Error::no_format(b"EXPAND")),
            _ => Err(Error::EXPAND_OF_HASHES),
        }
    }

    fn parameters(&mut self, args: &mut Args<'_>) -> Result<(), Error> {
        let count = counted(args, "PARAMS", usize::MAX)?;
        if !count.is_multiple_of(2) {
            return Err(Error::ODD_PARAMS);
        }
        for _ in 0..count / 2 {
            let (name, value) = (args.bytes()?, args.bytes()?);
            if self.parameters.insert(name.to_vec(), value.to_vec()).is_some() {
                return Err(Error::duplicate_parameter(name));
            }
        }
        Ok(())
    }
}

/// Takes a dialect.
pub(super) fn dialect(args: &mut Args<'_>) -> Result<u8, Error> {
    let dialect = args.bytes().map_err(|_| Error::NO_DIALECT)?;
    let dialect = number::parse_i64(dialect).filter(|dialect| (1..=4).contains(dialect));
    dialect.map(|dialect| dialect as u8).ok_or(Error::BAD_DIALECT)
}

/// Takes a form of values: whether it is the expanded one.
fn expands(args: &mut Args<'_>) -> Result<bool, Error> {
    let name = args.bytes().map_err(|_| Error::NO_FORMAT)?;
    match name.to_ascii_uppercase().as_slice() {
        b"STRING" => Ok(false),
        b"EXPAND" => Ok(true),
        _ => Err(Error::no_format(name)),
    }
}

/// Takes a count and so many arguments.
pub(super) fn listed(args: &mut Args<'_>, option: &str) -> Result<Vec<Box<[u8]>>, Error> {
    let count = counted(args, option, usize::MAX)?;
    Ok(args.many(count)?.map(Box::from).collect())
}

/// Takes a field and the ends of a range of its numbers.
fn range(args: &mut Args<'_>) -> Result<(Box<[u8]>, NumericRange), Error> {
    let (Ok(field), Ok(low), Ok(high)) = (args.bytes(), args.bytes(), args.bytes()) else {
        return Err(Error::FILTER_COUNT);
    };
    let (low, high) =
        (limit(low, "lower", f64::INFINITY)?, limit(high, "upper", f64::NEG_INFINITY)?);
    Ok((field.into(), NumericRange { low, high }))
}

/// One end of a range, which is not this value.
fn limit(text: &[u8], end: &str, not: f64) -> Result<Limit, Error> {
    let (text, is_exclusive) = match text.strip_prefix(b"(") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let value = parse_number(text).filter(|value| value.total_cmp(&not).is_ne());
    let value = value.ok_or_else(|| Error::bad_range(end, text))?;
    Ok(Limit { value, is_exclusive })
}

/// Takes a field and a circle.
fn circle(args: &mut Args<'_>) -> Result<(Box<[u8]>, Circle), Error> {
    const PARTS: usize = 5;
    if args.left() < PARTS {
        args.skip_rest();
        return Err(Error::GEOFILTER_COUNT);
    }
    let field = args.bytes()?;
    let mut next = |name| parse_number(args.bytes()?).ok_or_else(|| Error::bad_arguments(name));
    let (longitude, latitude, radius) = (next("<lon>")?, next("<lat>")?, next("<radius>")?);
    let unit = args.bytes()?;
    let unit_m = unit_m(unit).ok_or_else(|| Error::no_distance_unit(unit))?;
    if radius < 0.0 {
        return Err(Error::bad_arguments("<radius>"));
    }
    Ok((field.into(), Circle { longitude, latitude, radius, unit_m }))
}

impl Wanted {
    /// What a search gives that nothing is said of.
    pub(super) fn new() -> Self {
        const COUNT: usize = 10;
        Self {
            no_content: false,
            with_scores: false,
            with_payloads: false,
            with_sort_keys: false,
            fields: None,
            sort_by: None,
            offset: 0,
            count: COUNT,
            summary: None,
            highlight: None,
        }
    }

    /// Reads an option of searches, if one is next.
    pub(super) fn option(&mut self, args: &mut Args<'_>, options: &Options) -> Result<bool, Error> {
        const WORDS: [&str; 10] = [
            "NOCONTENT",
            "WITHSCORES",
            "WITHPAYLOADS",
            "WITHSORTKEYS",
            "RETURN",
            "SORTBY",
            "LIMIT",
            "SUMMARIZE",
            "HIGHLIGHT",
            "ADDSCORES",
        ];
        let Some(option) = args.one_of(&WORDS) else { return Ok(false) };
        match option {
            0 => self.no_content = true,
            1 => self.with_scores = true,
            2 => self.with_payloads = true,
            3 => self.with_sort_keys = true,
            4 => self.returned(args)?,
            5 => self.sorted(args)?,
            6 => {
                let most = options.asked_results_max();
                (self.offset, self.count) = page(args, most, most)?;
            }
            7 => self.summary = Some(Summary::read(args)?),
            8 => self.highlight = Some(Highlight::read(args)?),
            _ => return Err(Error::SCORES_OF_SEARCH),
        }
        Ok(true)
    }

    fn sorted(&mut self, args: &mut Args<'_>) -> Result<(), Error> {
        if self.sort_by.is_some() {
            return Err(Error::SEARCH_SORTED_TWICE);
        }
        let field = args.bytes().map_err(|_| Error::BAD_SORTBY)?;
        let field = field.strip_prefix(b"@").unwrap_or(field);
        let is_descending = args.one_of(&["ASC", "DESC"]) == Some(1);
        if args.keyword("MAX") {
            args.skip_rest();
            return Err(Error::SEARCH_SORTED_MAX);
        }
        self.sort_by = Some((field.into(), is_descending));
        Ok(())
    }

    fn returned(&mut self, args: &mut Args<'_>) -> Result<(), Error> {
        let count = counted(args, "RETURN", usize::MAX)?;
        let mut words = args.many(count)?.peekable();
        let mut fields: Vec<Renamed> = Vec::new();
        let mut names = BTreeSet::new();
        while let Some(path) = words.next() {
            let path = path.strip_prefix(b"@").unwrap_or(path);
            let is_named = words.next_if(|word| word.eq_ignore_ascii_case(b"AS")).is_some();
            let name = if is_named { words.next().ok_or(Error::BAD_RETURN)? } else { path };
            if is_named && name.eq_ignore_ascii_case(b"AS") {
                return Err(Error::RETURN_NAMED_AS);
            }
            // Of one name there is one field: what was said first.
            if names.insert(name) {
                fields.push((path.into(), name.into()));
            }
        }
        if fields.len() > FIELDS_MAX {
            return Err(Error::bad_arguments("RETURN"));
        }
        self.no_content |= fields.is_empty();
        self.fields = Some(fields);
        Ok(())
    }
}

/// Takes an offset and a count, with the most that each may be.
pub(super) fn page(
    args: &mut Args<'_>,
    most: u64,
    offset_most: u64,
) -> Result<(usize, usize), Error> {
    let (Ok(offset), Ok(count)) = (args.bytes(), args.bytes()) else {
        return Err(Error::BAD_LIMIT);
    };
    let parse = |text| {
        let value = number::parse_i64(text).and_then(|value| usize::try_from(value).ok());
        value.ok_or(Error::LIMIT_NO_NUMBER)
    };
    let (offset, count) = (parse(offset)?, parse(count)?);
    if count == 0 {
        return Ok((0, 0));
    }
    if count as u64 > most {
        return Err(Error::exceeds("LIMIT", most));
    }
    if offset as u64 > offset_most {
        return Err(Error::exceeds("OFFSET", offset_most));
    }
    Ok((offset, count))
}

impl Summary {
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut summary =
            Self { fields: None, fragments: 3, words: 20, separator: b"... "[..].into() };
        loop {
            match args.one_of(&["FIELDS", "FRAGS", "LEN", "SEPARATOR"]) {
                Some(0) => summary.fields = Some(listed(args, "SUMMARIZE")?),
                Some(1) => summary.fragments = counted_alone(args)?,
                Some(2) => summary.words = counted_alone(args)?,
                Some(_) => summary.separator = mark(args, "SUMMARIZE")?,
                None => return Ok(summary),
            }
        }
    }
}

fn counted_alone(args: &mut Args<'_>) -> Result<usize, Error> {
    let count = number::parse_i64(args.bytes()?).and_then(|count| usize::try_from(count).ok());
    count.filter(|count| *count > 0).ok_or_else(|| Error::bad_arguments("SUMMARIZE"))
}

fn mark(args: &mut Args<'_>, option: &str) -> Result<Box<[u8]>, Error> {
    let mark = args.bytes()?;
    if mark.len() > MARK_BYTES_MAX {
        return Err(Error::bad_arguments(option));
    }
    Ok(mark.into())
}

impl Highlight {
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut highlight =
            Self { fields: None, open: b"<b>"[..].into(), close: b"</b>"[..].into() };
        loop {
            match args.one_of(&["FIELDS", "TAGS"]) {
                Some(0) => highlight.fields = Some(listed(args, "HIGHLIGHT")?),
                Some(_) => {
                    highlight.open = mark(args, "HIGHLIGHT")?;
                    highlight.close = mark(args, "HIGHLIGHT")?;
                }
                None => return Ok(highlight),
            }
        }
    }
}
