import { Dialog } from 'radix-ui'
import { useState } from 'react'
import { t } from '../i18n'
import { CloseIcon } from './icons'
import { keysEnabled, setKeysEnabled } from './keys'

/** All shortcuts, and the switch that turns them off. */
export function HelpSheet({ onClose }: { onClose: () => void }) {
  const [on, setOn] = useState(keysEnabled)
  return (
    // Not `modal`: that locks scrolling with an inline style sheet, which the page's policy forbids.
    <Dialog.Root open modal={false} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <div className="veil" />
        <Dialog.Content className="sheet" data-modal aria-describedby={undefined}>
          <header>
            <Dialog.Title>{t.keys.title}</Dialog.Title>
            <Dialog.Close className="icon" aria-label={t.shell.close}><CloseIcon /></Dialog.Close>
          </header>
          <div className="sheet-groups">
            {t.keys.groups.map(([name, keys]) => (
              <section key={name}>
                <h3>{name}</h3>
                <dl>
                  {keys.map(([key, meaning]) => (
                    <div key={key}>
                      <dt>{key.split(' ').map((part) => <kbd key={part}>{part}</kbd>)}</dt>
                      <dd>{meaning}</dd>
                    </div>
                  ))}
                </dl>
              </section>
            ))}
          </div>
          <label className="sheet-switch">
            <input
              type="checkbox"
              checked={on}
              onChange={(event) => {
                setKeysEnabled(event.target.checked)
                setOn(event.target.checked)
              }}
            />
            <span>{t.keys.off} <span className="faint">{t.keys.offHint}</span></span>
          </label>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
