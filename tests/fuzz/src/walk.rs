//! Random commands made from the usage lines of the table: whoever walks says what stands for a
//! value, the usage line says where.

use reef_engine::command::Command;
use reef_engine::usage::{self, Argument, Kind};

use crate::choice::Choice;

/// What stands for values.
pub trait Values {
    /// Where choices come from.
    type Choice: Choice;

    /// The same.
    fn choice(&mut self) -> &mut Self::Choice;

    /// A word for a value of a command.
    fn value(&mut self, argument: &Argument, command: &Command) -> Vec<u8>;
}

/// A command under way.
#[derive(Debug)]
pub struct Walk<'v, V> {
    values: &'v mut V,
    words: Vec<Vec<u8>>,
    /// What `numkeys` promised.
    promised: Option<usize>,
}

/// A random command as its usage line has it, its name first.
pub fn line<V: Values>(command: &Command, values: &mut V) -> Vec<Vec<u8>> {
    let words =
        command.full_name().split('|').map(|word| word.to_uppercase().into_bytes()).collect();
    let mut walk = Walk { values, words, promised: None };
    walk.arguments(&usage::parse(&command.usage), command);
    walk.words
}

impl<V: Values> Walk<'_, V> {
    fn below(&mut self, bound: usize) -> usize {
        self.values.choice().below(bound)
    }

    fn arguments(&mut self, tree: &[Argument], command: &Command) {
        // Options may come in any order.
        let first_optional = tree.iter().position(|argument| argument.optional);
        let mut order: Vec<usize> = (0..tree.len()).collect();
        if let Some(first) = first_optional
            && tree[first..].iter().all(|argument| argument.optional)
            && self.below(2) == 0
        {
            order[first..].reverse();
        }
        for index in order {
            self.argument(&tree[index], command);
        }
    }

    fn argument(&mut self, argument: &Argument, command: &Command) {
        if argument.optional && self.below(3) > 0 {
            return;
        }
        let is_key = usage::type_name(argument, command) == "key";
        let times = match self.promised {
            Some(promised) if argument.multiple && (is_key || &*argument.name == "field") => {
                promised
            }
            _ if argument.multiple => 1 + self.below(3),
            _ => 1,
        };
        for time in 0..times {
            let is_token = matches!(argument.kind, Kind::Keyword);
            if let Some(token) = &argument.token
                && (time == 0 || argument.multiple_token || is_token)
            {
                self.words.push(token.as_bytes().to_vec());
            }
            match &argument.kind {
                Kind::Keyword => {}
                Kind::OneOf(choices) => {
                    let choice = &choices[self.below(choices.len())];
                    self.argument(&Argument { optional: false, ..choice.clone() }, command);
                }
                Kind::Block(parts) => self.arguments(parts, command),
                Kind::Value => self.value(argument, command),
            }
        }
    }

    fn value(&mut self, argument: &Argument, command: &Command) {
        let word = if matches!(&*argument.name, "numkeys" | "numfields") {
            let promised = 1 + self.below(2);
            self.promised = Some(promised);
            promised.to_string().into_bytes()
        } else {
            self.values.value(argument, command)
        };
        self.words.push(word);
    }
}
