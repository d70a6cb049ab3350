//! FT.CREATE and FT.ALTER: what an index is about, from the words of a command.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::args::Args;
use crate::clock::Millis;
use crate::error::Error;
use crate::keyspace::{INDEXED_DATABASE, Keyspace};
use crate::search::expression::Expression;
use crate::search::schema::{
    Defaults, DocumentType, FIELDS_MAX, Field, FieldType, Keeping, Synonyms, TEXT_FIELDS_MAX,
    TEXT_FIELDS_MAX_WIDE,
};
use crate::search::{Language, Path, Schema, StopWords, tokens};
use crate::types::number;

/// Most stop words of an index.
const STOP_WORDS_MAX: usize = 1024;

/// Makes the index that the arguments describe, its name first.
pub(super) fn create(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if keys.database != INDEXED_DATABASE {
        return Err(Error::INDEX_IN_OTHER_DATABASE);
    }
    let name = args.bytes()?;
    let words = args.clone().rest().map(Box::from).collect();
    let (schema, skips) = Definition::new(name, words).read(args)?;
    if keys.catalogue().resolve(name).is_some() {
        return Err(Error::INDEX_EXISTS);
    }
    // From a file comes no time; then it counts from the first look.
    if keys.now > Millis::default() {
        schema.uses.begin(keys.now);
    }
    keys.add_index(schema, skips);
    Ok(())
}

/// Adds fields to an index: `name [SKIPINITIALSCAN] SCHEMA ADD field ...`.
pub(super) fn alter(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let catalogue = keys.catalogue();
    let place = catalogue.resolve(name).ok_or(Error::UNKNOWN_INDEX)?;
    let Some(old) = catalogue.indexes.get(place) else { return Err(Error::UNKNOWN_INDEX) };
    let skips = args.keyword("SKIPINITIALSCAN");
    if !args.keyword("SCHEMA") || !args.keyword("ADD") {
        let word = args.peek().unwrap_or_default();
        args.skip_rest();
        return Err(Error::unknown_word(word));
    }
    let mut schema = old.as_ref().clone();
    schema.additions.push(args.clone().rest().map(Box::<[u8]>::from).collect());
    if args.is_done() {
        return Err(Error::NO_FIELDS);
    }
    read_fields(&mut schema, args)?;
    keys.alter_index(place, schema, skips);
    Ok(())
}

/// A definition while it is read.
struct Definition {
    schema: Schema,
    skips: bool,
    filter: Option<Box<[u8]>>,
}

impl Definition {
    fn new(name: &[u8], words: Vec<Box<[u8]>>) -> Self {
        let schema = Schema {
            name: name.into(),
            documents: DocumentType::Hash,
            prefixes: alloc::vec![Box::default()],
            filter: None,
            defaults: Defaults::default(),
            synonyms: Synonyms::new(),
            stop_words: StopWords::Default,
            keeping: Keeping::default(),
            temporary_s: None,
            uses: Arc::default(),
            fields: Vec::new(),
            words,
            additions: Vec::new(),
        };
        Self { schema, skips: false, filter: None }
    }

    fn read(mut self, args: &mut Args<'_>) -> Result<(Schema, bool), Error> {
        loop {
            if args.is_done() {
                return Err(Error::NO_SCHEMA);
            }
            if args.keyword("SCHEMA") {
                break;
            }
            if !self.option(args)? && !self.switch(args) {
                let word = args.bytes()?;
                args.skip_rest();
                return Err(Error::unknown_word(word));
            }
        }
        if args.is_done() {
            return Err(Error::NO_FIELDS);
        }
        if let Some(text) = self.filter {
            let filter = Expression::parse(&text).map_err(Error::Owned)?;
            self.schema.filter = Some((text, filter));
        }
        read_fields(&mut self.schema, args)?;
        Ok((self.schema, self.skips))
    }

    /// Reads an option with arguments, if one is next.
    fn option(&mut self, args: &mut Args<'_>) -> Result<bool, Error> {
        const WORDS: [&str; 10] = [
            "ON",
            "PREFIX",
            "FILTER",
            "LANGUAGE",
            "LANGUAGE_FIELD",
            "SCORE",
            "SCORE_FIELD",
            "PAYLOAD_FIELD",
            "STOPWORDS",
            "TEMPORARY",
        ];
        let Some(option) = args.one_of(&WORDS) else { return Ok(false) };
        let schema = &mut self.schema;
        match option {
            0 => schema.documents = document_type(args)?,
            1 => {
                let count = counted(args, "PREFIX", usize::MAX)?;
                schema.prefixes = args.many(count)?.map(Box::from).collect();
                if count == 0 {
                    schema.prefixes.push(Box::default());
                }
            }
            2 => self.filter = Some(args.bytes()?.into()),
            3 => {
                let language = args.bytes()?;
                if Language::of_name(language).is_none() {
                    return Err(Error::NO_LANGUAGE);
                }
                schema.defaults.language = Some(language.into());
            }
            4 => schema.defaults.language_field = Some(args.bytes()?.into()),
            5 => {
                let score = number::parse_f64(args.bytes()?);
                let score = score.filter(|score| (0.0..=1.0).contains(score));
                schema.defaults.score = Some(score.ok_or(Error::BAD_SCORE)?);
            }
            6 => schema.defaults.score_field = Some(args.bytes()?.into()),
            7 => schema.defaults.payload_field = Some(args.bytes()?.into()),
            8 => {
                let count = counted(args, "STOPWORDS", STOP_WORDS_MAX)?;
                let words = args.many(count)?.map(|word| {
                    let mut word = word.to_vec();
                    tokens::lower(&mut word);
                    word.into()
                });
                schema.stop_words = StopWords::Own(words.collect());
            }
            _ => {
                let seconds = number::parse_i64(args.bytes()?).filter(|seconds| *seconds > 0);
                let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
                schema.temporary_s = Some(seconds.ok_or(Error::BAD_TEMPORARY)?);
            }
        }
        Ok(true)
    }

    /// Reads an option without arguments, if one is next.
    fn switch(&mut self, args: &mut Args<'_>) -> bool {
        const WORDS: [&str; 8] = [
            "NOOFFSETS",
            "NOHL",
            "NOFIELDS",
            "NOFREQS",
            "MAXTEXTFIELDS",
            "SKIPINITIALSCAN",
            "ASYNC",
            "NOSCOREIDX",
        ];
        let Some(switch) = args.one_of(&WORDS) else { return false };
        let keeping = &mut self.schema.keeping;
        match switch {
            0 => (keeping.no_offsets, keeping.no_highlights) = (true, true),
            1 => keeping.no_highlights = true,
            2 => keeping.no_fields = true,
            3 => keeping.no_frequencies = true,
            4 => keeping.many_texts = true,
            5 => self.skips = true,
            _ => {}
        }
        true
    }
}

fn document_type(args: &mut Args<'_>) -> Result<DocumentType, Error> {
    match args.one_of(&["HASH", "JSON"]) {
        Some(0) => Ok(DocumentType::Hash),
        Some(_) => Ok(DocumentType::Json),
        None => {
            let word = args.bytes()?;
            args.skip_rest();
            Err(Error::unknown_word(word))
        }
    }
}

/// Takes an argument of an option.
pub(super) fn expected<'a>(args: &mut Args<'a>, option: &str) -> Result<&'a [u8], Error> {
    args.bytes().map_err(|_| Error::no_argument(option))
}

/// Takes how many arguments of an option follow.
pub(super) fn counted(args: &mut Args<'_>, option: &str, most: usize) -> Result<usize, Error> {
    let count = number::parse_i64(expected(args, option)?);
    let count = count.ok_or_else(|| Error::bad_arguments(option))?;
    let count = usize::try_from(count).ok().filter(|count| *count <= most);
    let count = count.ok_or_else(|| Error::out_of_bounds(option))?;
    if count > args.left() { Err(Error::no_argument(option)) } else { Ok(count) }
}

fn read_fields(schema: &mut Schema, args: &mut Args<'_>) -> Result<(), Error> {
    while !args.is_done() {
        let field = read_field(schema, args)?;
        if schema.field(&field.name).is_some() {
            return Err(Error::duplicate_field(&field.name));
        }
        schema.fields.push(field);
        if schema.fields.len() > FIELDS_MAX {
            return Err(Error::too_many_fields(FIELDS_MAX, ""));
        }
        let texts = schema.texts();
        if texts > TEXT_FIELDS_MAX_WIDE {
            return Err(Error::too_many_fields(TEXT_FIELDS_MAX_WIDE, "TEXT "));
        }
        if texts > TEXT_FIELDS_MAX && !schema.is_new() && !schema.keeping.many_texts {
            return Err(Error::NOT_WIDE);
        }
    }
    Ok(())
}

fn read_field(schema: &Schema, args: &mut Args<'_>) -> Result<Field, Error> {
    let path = args.bytes()?;
    let name = if args.keyword("AS") { args.bytes()? } else { path };
    let source = Path::of_name(path, schema.documents);
    if matches!(source, Path::Nowhere) {
        return Err(Error::bad_json_path(path, name));
    }
    const TYPES: [&str; 6] = ["TEXT", "TAG", "NUMERIC", "GEO", "VECTOR", "GEOSHAPE"];
    let kind = match args.one_of(&TYPES) {
        Some(0) => FieldType::Text {
            weight: 1.0,
            no_stem: false,
            phonetic: None,
            number: schema.texts() as u32,
        },
        Some(1) => {
            let separator = (schema.documents == DocumentType::Hash).then_some(b',');
            FieldType::Tag { separator, case_sensitive: false }
        }
        Some(2) => FieldType::Numeric,
        Some(3) => FieldType::Geo,
        Some(other) => {
            return Err(Error::unsupported_field_type(TYPES[other].as_bytes()));
        }
        None => return Err(Error::bad_field_type(name)),
    };
    let mut field = Field {
        path: path.into(),
        source,
        name: name.into(),
        kind,
        is_sortable: false,
        is_raw_sortable: false,
        is_indexed: true,
        has_suffixes: false,
        indexes_empty: false,
        indexes_missing: false,
    };
    while read_field_option(&mut field, args)? {}
    read_field_uses(&mut field, schema.documents, args);
    if !field.is_indexed && field.indexes_missing {
        return Err(Error::unfindable_absence(name));
    }
    Ok(field)
}

/// Reads an option of a field's type, if one is next.
fn read_field_option(field: &mut Field, args: &mut Args<'_>) -> Result<bool, Error> {
    match &mut field.kind {
        FieldType::Text { weight, no_stem, phonetic, .. } => {
            match args.one_of(&["WEIGHT", "NOSTEM", "PHONETIC"]) {
                Some(0) => {
                    let parsed = number::parse_f64(expected(args, "weight")?);
                    let parsed = parsed.filter(|weight| (0.0..=1e6).contains(weight));
                    *weight = parsed.ok_or_else(|| Error::bad_arguments("weight"))?;
                }
                Some(1) => *no_stem = true,
                Some(_) => {
                    // One code is for all of them.
                    const MATCHERS: [&str; 4] = ["dm:en", "dm:fr", "dm:pt", "dm:es"];
                    let matcher = args.bytes().map_err(|_| Error::PHONETIC_NEEDS_ARGUMENT)?;
                    let known = MATCHERS.iter().find(|known| known.as_bytes() == matcher);
                    *phonetic = Some(*known.ok_or(Error::BAD_PHONETIC)?);
                }
                None => return Ok(read_findings(field, args)),
            }
        }
        FieldType::Tag { separator, case_sensitive } => {
            match args.one_of(&["SEPARATOR", "CASESENSITIVE"]) {
                Some(0) => {
                    let text = args.bytes().map_err(|_| Error::SEPARATOR_NEEDS_ARGUMENT)?;
                    let [one] = text else { return Err(Error::bad_separator(text)) };
                    *separator = Some(*one);
                }
                Some(_) => *case_sensitive = true,
                None => return Ok(read_findings(field, args)),
            }
        }
        FieldType::Numeric | FieldType::Geo => {
            let is_next = args.keyword("INDEXMISSING");
            field.indexes_missing |= is_next;
            return Ok(is_next);
        }
    }
    Ok(true)
}

/// Reads by what else a field of words or tags is found, if that is next.
fn read_findings(field: &mut Field, args: &mut Args<'_>) -> bool {
    match args.one_of(&["WITHSUFFIXTRIE", "INDEXEMPTY", "INDEXMISSING"]) {
        Some(0) => field.has_suffixes = true,
        Some(1) => field.indexes_empty = true,
        Some(_) => field.indexes_missing = true,
        None => return false,
    }
    true
}

/// Reads what a field is used for, which comes last: behind it `WEIGHT` would be the next field's name.
fn read_field_uses(field: &mut Field, documents: DocumentType, args: &mut Args<'_>) {
    while let Some(use_of_it) = args.one_of(&["SORTABLE", "NOINDEX"]) {
        if use_of_it == 1 {
            field.is_indexed = false;
            continue;
        }
        field.is_sortable = true;
        // What is not text, or whose case matters, is never sorted in lower case.
        let is_raw = match field.kind {
            FieldType::Numeric | FieldType::Tag { case_sensitive: true, .. } => true,
            _ => documents == DocumentType::Json,
        };
        field.is_raw_sortable |= args.keyword("UNF") || is_raw;
    }
}
